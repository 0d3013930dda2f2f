"""A tenant is cleaned up by rule, by the real command and a real worker: exactly those who are due,
each once, and nobody else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.processes import wait_until
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site

GUARD = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"]
ROLES = [
    *("User.Invite.All", "User.Read.All", "AuditLog.Read.All", "User.EnableDisableAccount.All"),
    *("User.DeleteRestore.All", *GUARD),
]
_LIMITS = (
    *("invitations_per_tenant", "writes_per_app_and_tenant", "writes_per_tenant", "writes_per_app"),
    *("units_per_app_and_tenant", "units_per_app", "sign_in_reads_per_app"),
)
QUOTA = "\n".join(["[quota]", *(f'{limit} = "1000000/1s"' for limit in _LIMITS), ""])
POLICY = {
    "remind_after": '"7d"',
    "remind_every": '"7d"',
    "disable_pending_after": '"30d"',
    "disable_inactive_after": '"90d"',
    "disable_expired": "true",
    "delete_disabled_after": '"30d"',
    "spare_domains": '["spared.example"]',
    "spare_groups": '["Spared"]',
    "spare_addresses": '"file:spared.csv"',
    "most_reminded": "100000",
    "most_disabled": "100000",
    "most_deleted": "100000",
}
_TABLE = "[connections.contoso.clean]"
REMINDED = {"pending_due"}
INACTIVE = {
    *("inactive", "inactive_spelled", "inactive_nameless", "inactive_lookalike", "inactive_expires_later"),
    *("never_seen", "never_seen_empty", "unknown_old"),
}
PENDING = {"pending_old"}
EXPIRED = {"expired", "expired_pending"}
Kinds = Mapping[str, list[str]]


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place with a policy."""
    async with open_site(valkey_url, sandbox, latency="0", replication="0", roles=ROLES, quota=QUOTA) as site:
        configure(site)
        yield site


def configure(site: Site, *more: str, **changes: str) -> None:
    """Write the policy, with these changes ('' for none of it), and more lines of the connection's
    own table.
    """
    file = site.folder / "usher.toml"
    own = file.read_text().partition(_TABLE)[0].rstrip()
    policy = {key: value for key, value in (POLICY | changes).items() if value}
    lines = [own, *more, _TABLE, *(f"{key} = {value}" for key, value in policy.items())]
    file.write_text("\n".join(lines) + "\n")


def populate(site: Site, count: int) -> Kinds:
    """Fill the tenant; returns who is what."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": count})["kinds"]
    (site.folder / "spared.csv").write_text("\n".join(["email", *kinds["spared_address"]]) + "\n")
    return kinds


def of(kinds: Kinds, *names: str) -> set[str]:
    """Return the guests of some kinds."""
    return {email for name in names for email in kinds[name]}


def listed(site: Site, *only: str) -> set[str]:
    """Return the addresses of the tenant's guests, as Graph lists them."""
    status, out, err = site.run("guests", "list", "-c", "contoso", "--format", "jsonl", *only)
    assert status == 0, err
    return {json.loads(line)["email"] for line in out.splitlines()} - {"disabled@partner.example"}


def clean(site: Site, *more: str, **env: str) -> tuple[int, dict[str, Any], str]:
    """Clean up; returns the status, the object of --json and what was said."""
    status, out, err = site.run("guests", "clean", "-c", "contoso", "--json", *more, **env)
    assert len(out.splitlines()) == 1, (out, err)
    return status, json.loads(out), err


def undo(site: Site, job: str) -> dict[str, Any]:
    """Undo a job; returns the object of --json, with the status."""
    status, out, err = site.run("guests", "undo", job, "--yes", "--json")
    assert out, err
    return {**json.loads(out.splitlines()[-1]), "status": status}


def due(kinds: Kinds) -> set[str]:
    """Return who is to be disabled."""
    return of(kinds, *INACTIVE, *PENDING, *EXPIRED)


def lines_of(out: str) -> set[tuple[str, str]]:
    """Return what is shown as due: the deed and the guest."""
    lines = [line.split("  ") for line in out.splitlines() if line]
    assert all(len(line) == 4 and line[3] for line in lines)
    return {(line[1], line[2]) for line in lines}


def test_exactly_those_are_found_who_are_due(site: Site) -> None:
    """Nothing is done without --yes, and no job stays behind; each is shown with the reason."""
    kinds = populate(site, 300)
    for more in ((), ("--dry-run", "--yes"), ()):
        status, out, err = site.run("guests", "clean", "-c", "contoso", *more)
        assert status == 0, err
        assert lines_of(out) == {
            *(("remind", email) for email in of(kinds, *REMINDED)),
            *(("disable", email) for email in due(kinds)),
        }
        assert "Nothing was done (only with --yes)" in err
    status, told, _ = clean(site)
    assert (status, told["job"], told["ceilings"]) == (0, None, [])
    assert told["plan"]["would"] == {"remind": len(of(kinds, *REMINDED)), "disable": len(due(kinds)), "delete": 0}
    assert listed(site, "--disabled") == of(kinds, "disabled", "pending_disabled")
    assert site.sandbox.ask("stats")["mails"]["total"] == 0
    assert "No jobs yet" in site.run("jobs", "list").out


def test_what_is_due_is_done_once_and_then_nothing_is(site: Site) -> None:
    """Each kind in its stage; whom usher has disabled is deleted after a time, nobody else."""
    kinds = populate(site, 300)
    by_hand = of(kinds, "disabled", "pending_disabled")
    worker = site.start_worker()
    status, told, err = clean(site, "--yes")
    assert (status, told["ceilings"], told["state"]) == (0, [], "done"), err
    reminded = of(kinds, *REMINDED)
    assert told["done"] == told["rows"] == len(reminded) + len(due(kinds))
    assert {name: stage["done"] for name, stage in told["stages"].items()} == {
        "remind": len(reminded),
        "disable": len(due(kinds)),
    }
    assert listed(site, "--disabled") == due(kinds) | by_hand
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["addresses"], mails["more_than_once"]) == (len(reminded), len(reminded), 0)
    status, told, err = clean(site, "--yes")
    assert (status, told["rows"], told["job"]) == (0, 0, None), err
    assert site.sandbox.ask("stats")["items"]["update_user"] == {"204": len(due(kinds))}
    kill(worker)
    configure(site, delete_disabled_after='"1s"')
    site.start_worker()
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["delete"]["done"]) == (0, len(due(kinds))), err
    assert listed(site, "--disabled") == by_hand


def test_a_clean_up_is_undone(site: Site) -> None:
    """Whoever was deleted is restored, whoever was disabled enabled; a mail stays mailed."""
    kinds = populate(site, 200)
    by_hand = of(kinds, "disabled", "pending_disabled")
    site.start_worker()
    _, disabling, err = clean(site, "--yes")
    assert listed(site, "--disabled") == due(kinds) | by_hand, err
    configure(site, remind_after="", delete_disabled_after='"1s"')
    site.start_worker()
    _, deleting, err = clean(site, "--yes")
    assert listed(site, "--disabled") == by_hand, err
    undone = undo(site, deleting["job"])
    assert (undone["status"], undone["stages"]["restore"]["done"]) == (0, len(due(kinds)))
    assert listed(site, "--disabled") == due(kinds) | by_hand
    undone = undo(site, disabling["job"])
    assert (undone["status"], undone["failed"]) == (1, len(of(kinds, *REMINDED)))
    assert undone["stages"]["enable"]["done"] == len(due(kinds))
    assert listed(site, "--disabled") == by_hand


def test_one_ceiling_does_not_stop_the_others(site: Site) -> None:
    """Nothing of its kind is done, and its name is told."""
    kinds = populate(site, 300)
    configure(site, most_disabled="3")
    status, told, err = clean(site)
    assert (status, told["ceilings"]) == (0, ["most_disabled"])
    site.start_worker()
    status, told, err = clean(site, "--yes")
    assert (status, told["ceilings"], told["state"]) == (3, ["most_disabled"], "done")
    assert "connections.contoso.clean.most_disabled" in err
    assert told["plan"]["would"]["disable"] == len(due(kinds))
    assert listed(site, "--disabled") == of(kinds, "disabled", "pending_disabled")
    assert site.sandbox.ask("stats")["mails"]["total"] == len(of(kinds, *REMINDED))
    configure(site, most_reminded="0", most_disabled="3")
    status, told, err = clean(site, "--yes")
    assert (status, told["job"], told["ceilings"]) == (3, None, ["most_disabled"])


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"sign_ins": False}, "No guest of contoso has a date of signing in"),
        ({"p1": False}, "AuditLog.Read.All"),
        ({"roles": [role for role in ROLES if role != "AuditLog.Read.All"]}, "AuditLog.Read.All"),
    ],
)
def test_without_dates_of_signing_in_nobody_is_taken_for_inactive(
    site: Site, policy: dict[str, Any], words: str
) -> None:
    """Not even of whom it could be told without one; and it says so."""
    kinds = populate(site, 200)
    site.sandbox.ask("policy", policy)
    status, told, err = clean(site)
    assert (status, told["plan"]["because"].get("inactive", 0)) == (0, 0)
    assert told["plan"]["would"]["disable"] == len(of(kinds, *PENDING, *EXPIRED))
    assert told["plan"]["would"]["remind"] == len(of(kinds, *REMINDED))
    (note,) = told["plan"]["notes"]
    assert words in note
    assert words in err


@pytest.mark.parametrize("missing", GUARD)
def test_where_nobody_can_tell_whom_to_spare_nobody_is_disabled(site: Site, missing: str) -> None:
    """One sentence names the permission; reminders are mailed all the same."""
    kinds = populate(site, 200)
    configure(site, spare_groups="")
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if role != missing]})
    if missing == "RoleEligibilitySchedule.Read.Directory":  # another permission would do there
        refuse = {"fault": "error", "on": ["item", "role_eligibilities"], "every": 1, "status": 403}
        denied = {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}
        site.sandbox.ask("faults", {"faults": [refuse | denied]})
    _, told, _ = clean(site)
    assert told["plan"]["would"]["disable"] == told["plan"]["would"]["delete"] == 0
    # Who holds a role is not known then; who is to be disabled is not reminded instead
    pending = of(kinds, *REMINDED) | of(kinds, "role_pending")
    assert len(of(kinds, *REMINDED)) <= told["plan"]["would"]["remind"] <= len(pending)
    assert told["plan"]["left"]["otherwise_due"] >= len(of(kinds, *PENDING))
    (note,) = told["plan"]["notes"]
    assert missing in note


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spare_groups": '["Nobody knows"]', "spare_addresses": ""}, "clean.spare_groups"),
        ({"spare_addresses": '"file:missing.csv"', "spare_groups": ""}, "clean.spare_addresses"),
        ({"spare_addresses": '"file:usher.toml"', "spare_groups": ""}, "clean.spare_addresses"),
        (dict.fromkeys(POLICY, ""), "[connections.contoso.clean]"),
    ],
)
def test_what_cannot_be_spared_stops_all(site: Site, changes: dict[str, str], words: str) -> None:
    """With a sentence; nothing is looked at."""
    configure(site, **changes)
    status, out, err = site.run("guests", "clean", "-c", "contoso", "--yes")
    assert (status, out) == (2, ""), err
    assert words in err


def test_whoever_changed_meanwhile_is_left_alone(site: Site) -> None:
    """A run waits for a second person; who was active, accepted, or was disabled until then is left
    as they are, and the others are done.
    """
    kinds = populate(site, 200)
    configure(site, "require_approval = true")
    site.start_worker()
    status, told, err = clean(site, "--yes", USHER_ACTOR="ann")
    assert (status, told["state"]) == (3, "held"), err
    signed_in, accepted = kinds["inactive"][:2], kinds["pending_due"][0]
    for how, email in zip(("failed", "client"), signed_in, strict=True):
        site.sandbox.ask("users", {"action": "sign_in", "email": email, "how": how})
    site.sandbox.ask("users", {"action": "accept", "email": accepted})
    spared = {*signed_in, accepted}
    status, out, err = site.run("jobs", "show", told["job"])
    assert "last attempt to sign in on" in out, err
    status, out, err = site.run("guests", "clean", "-c", "contoso", "--yes", USHER_ACTOR="ann")
    assert (status, out) == (2, ""), err
    assert f"usher jobs approve {told['job']}" in err
    status, out, err = site.run("jobs", "approve", told["job"], USHER_ACTOR="bo")
    assert status == 0, err
    status, out, err = site.run("jobs", "watch", told["job"], "--json")
    ended = json.loads(out.splitlines()[-1])
    assert (status, ended["state"], ended["skipped"]) == (0, "done", len(spared)), err
    assert listed(site, "--disabled") == (due(kinds) - spared) | of(kinds, "disabled", "pending_disabled")
    mails = site.sandbox.ask("stats")["mails"]
    assert mails["total"] == len(of(kinds, *REMINDED) - spared)


def test_a_killed_run_does_each_thing_once(site: Site) -> None:
    """Another worker goes on, and the same command again finds nothing left to do. A reminder whose
    answer was lost with the worker is in doubt, and is not repeated.
    """
    kinds = populate(site, 600)
    site.sandbox.ask("latency", {"latency": "0.05", "replication": "0"})
    worker = site.start_worker()
    status, told, err = clean(site, "--yes", "--detach")
    assert status == 3, err
    wait_until(lambda: bool(site.sandbox.ask("stats")["items"].get("update_user")), 20, "the first write")
    kill(worker)
    site.start_worker()
    status, out, err = site.run("jobs", "watch", told["job"], "--json")
    ended = json.loads(out.splitlines()[-1])
    reminded, stages = len(of(kinds, *REMINDED)), ended["stages"]
    assert (ended["done"], ended["failed"]) == (ended["rows"], 0), err
    assert stages["disable"]["done"] == len(due(kinds))
    assert stages["remind"]["done"] + stages["remind"]["in_doubt"] == reminded
    assert status == (1 if stages["remind"]["in_doubt"] else 0)
    status, told, err = clean(site, "--yes")
    assert (status, told["rows"]) == (0, 0), err
    stats = site.sandbox.ask("stats")
    assert stats["items"]["update_user"]["204"] == len(due(kinds))
    assert stages["remind"]["done"] <= stats["mails"]["total"] <= reminded
    assert stats["mails"]["more_than_once"] == 0


def test_accounts_that_came_otherwise_are_taken_where_it_is_asked_for(site: Site) -> None:
    """Disabled too, not only found."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": 30, "kinds": ["internal", "inactive"]})["kinds"]
    configure(site, spare_addresses="", spare_groups="", include_internal="true")
    site.start_worker()
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["disable"]["done"]) == (0, 30), err
    assert listed(site, "--disabled") == of(kinds, "internal", "inactive")


def schedule(site: Site, task: str, **args: str) -> None:
    """Add a schedule that never fires by itself."""
    lines = "".join(f"{key} = {value}\n" for key, value in args.items())
    with (site.folder / "usher.toml").open("a") as file:
        file.write(f'[schedules.nightly]\ntask = "{task}"\nconnection = "contoso"\nevery = "9d"\n')
        file.write(f"[schedules.nightly.args]\n{lines}")


def fire(site: Site) -> dict[str, Any]:
    """Let the schedule run once, and its jobs end; returns what is told of the run."""
    status, out, err = site.run("schedules", "run", "nightly", "--json")
    assert status in (0, 1), err
    told: dict[str, Any] = json.loads(out)
    for job in told["jobs"]:
        site.run("jobs", "watch", job)
    return told


def test_a_schedule_does_nothing_unless_it_confirms(site: Site) -> None:
    """It tells what it would do, and needs somebody where a ceiling is met; no address is in it."""
    kinds = populate(site, 200)
    configure(site, most_disabled="3")
    schedule(site, "clean_guests")
    site.start_worker()
    told = fire(site)
    assert (told["status"], told["jobs"]) == ("attention", [])
    assert f"{len(due(kinds))} to disable" in told["what"]
    assert "confirm = true" in told["what"]
    assert "most_disabled" in told["what"]
    assert "@" not in told["what"]
    assert site.sandbox.ask("stats")["mails"]["total"] == 0


def test_a_schedule_that_confirms_does_what_is_due(site: Site) -> None:
    """Once; the next run finds nothing."""
    kinds = populate(site, 200)
    schedule(site, "clean_guests", confirm="true")
    site.start_worker()
    told = fire(site)
    assert (told["status"], len(told["jobs"])) == ("ok", 1), told
    assert listed(site, "--disabled") == due(kinds) | of(kinds, "disabled", "pending_disabled")
    told = fire(site)
    assert (told["status"], told["jobs"]) == ("ok", []), told
    assert site.sandbox.ask("stats")["mails"]["total"] == len(of(kinds, *REMINDED))


def test_a_run_of_a_schedule_waits_for_approval(site: Site) -> None:
    """As a job does; nothing is done until then."""
    populate(site, 200)
    configure(site, "require_approval = true")
    schedule(site, "clean_guests", confirm="true")
    site.start_worker()
    _, out, err = site.run("schedules", "run", "nightly", "--json")
    told = json.loads(out)
    assert (told["status"], len(told["jobs"])) == ("attention", 1), err
    waits = f"usher jobs approve {told['jobs'][0]}"
    assert waits in told["what"]
    _, out, err = site.run("schedules", "run", "nightly", "--json")
    again = json.loads(out)
    assert (again["status"], again["jobs"], waits in again["what"]) == ("attention", [], True), err
    assert site.sandbox.ask("stats")["items"].get("update_user", {}) == {}


def test_pending_guests_are_reminded_by_a_schedule(site: Site) -> None:
    """Nobody else is touched; without a policy three days count."""
    kinds = populate(site, 200)
    configure(site, **dict.fromkeys(POLICY, ""))
    schedule(site, "remind_pending", confirm="true")
    site.start_worker()
    told = fire(site)
    assert (told["status"], len(told["jobs"])) == ("ok", 1), told
    pending = of(kinds, "pending_due", "pending_old", "pending_spared", "pending_again", "expired_pending")
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (len(pending), 0)
    assert site.sandbox.ask("stats")["items"].get("update_user", {}) == {}
    assert fire(site)["jobs"] == []


def test_whoever_is_to_be_disabled_is_not_reminded_by_a_schedule(site: Site) -> None:
    """By the same policy."""
    kinds = populate(site, 200)
    schedule(site, "remind_pending", confirm="true")
    site.start_worker()
    assert fire(site)["status"] == "ok"
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (len(of(kinds, *REMINDED)), 0)


@pytest.mark.long
async def test_a_nasty_tenant_of_50000_is_cleaned_up_exactly(site: Site) -> None:
    """Three times over the same set is found; killed in the middle and run again each thing is done
    once, and nobody else is touched; all that can be undone is.
    """
    kinds = populate(site, 50_000)
    wanted = {
        *(("remind", email) for email in of(kinds, *REMINDED)),
        *(("disable", email) for email in due(kinds)),
    }
    for _ in range(3):
        status, out, err = site.run("guests", "clean", "-c", "contoso")
        assert (status, lines_of(out) == wanted) == (0, True), err
    worker = site.start_worker()
    status, told, err = clean(site, "--yes", "--detach")
    assert status == 3, err
    wait_until(lambda: site.sandbox.ask("stats")["items"].get("update_user", {}).get("204", 0) > 2000, 300, "writes")
    kill(worker)
    site.start_worker()
    view = await site.ended(told["job"], 600)
    assert (view.counts.done, view.counts.failed) == (len(wanted), 0)
    status, again, err = clean(site, "--yes")
    assert (status, again["rows"]) == (0, 0), err
    by_hand = of(kinds, "disabled", "pending_disabled")
    assert listed(site, "--disabled") == due(kinds) | by_hand
    stats = site.sandbox.ask("stats")
    assert stats["items"]["update_user"]["204"] == len(due(kinds))
    reminded, stage = len(of(kinds, *REMINDED)), view.stages["remind"]
    assert stage.done + stage.in_doubt == reminded
    assert stage.done <= stats["mails"]["total"] <= reminded
    assert stats["mails"]["more_than_once"] == 0
    status, out, err = site.run("guests", "undo", told["job"], "--yes", "--json", "--detach")
    assert status == 3, err
    view = await site.ended(json.loads(out)["job"], 600)
    assert (view.stages["enable"].done, view.counts.failed) == (len(due(kinds)), reminded)
    assert listed(site, "--disabled") == by_hand


def test_an_invitation_on_purpose_counts_anew_and_a_reminder_does_not(site: Site) -> None:
    """By usher's own memory: the tenant shows neither."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": 8, "kinds": ["pending_due", "pending_old"]})["kinds"]
    configure(site, spare_addresses="", spare_groups="")
    again = kinds["pending_old"][0]
    site.start_worker()
    status, _, err = site.run("invite", again, "-c", "contoso", "--resend", "--yes")
    assert status == 0, err
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["disable"]["done"], told["stages"]["remind"]["done"]) == (0, 3, 4), err
    assert listed(site, "--disabled") == set(kinds["pending_old"]) - {again}
    configure(site, spare_addresses="", spare_groups="", disable_pending_after='"9d"')
    _, told, _ = clean(site)
    assert told["plan"]["would"] == {"remind": 0, "disable": 4, "delete": 0}
