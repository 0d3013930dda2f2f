"""A tenant is cleaned up by rule, by the real command and a real worker: exactly those who are due,
each once, and nobody else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cleaned import (
    EXPIRED,
    GUARD,
    PENDING,
    POLICY,
    REMINDED,
    ROLES,
    Kinds,
    clean,
    configure,
    due,
    lines_of,
    listed,
    of,
    open_cleaned,
    populate,
)
from tests.processes import wait_until
from tests.sandboxes import Sandbox
from tests.sites import Site, kill


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place with a policy."""
    async with open_cleaned(valkey_url, sandbox) as site:
        yield site


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
    wait_until(lambda: clean(site)[1]["plan"]["would"]["delete"] == len(due(kinds)), 20, "the age to delete")
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["delete"]["done"]) == (0, len(due(kinds))), err
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
    assert "by itself" not in note
    if missing == GUARD[0]:
        configure(site, spare_groups="", remind_after="")
        status, told, _ = clean(site, "--yes")
        assert (status, told["job"]) == (3, None), "whoever runs it at night hears of it"


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


def test_accounts_that_came_otherwise_are_taken_where_it_is_asked_for(site: Site) -> None:
    """Disabled too, not only found."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": 30, "kinds": ["internal", "inactive"]})["kinds"]
    configure(site, spare_addresses="", spare_groups="", include_internal="true")
    site.start_worker()
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["disable"]["done"]) == (0, 30), err
    assert listed(site, "--disabled") == of(kinds, "internal", "inactive")


def test_an_invitation_on_purpose_counts_anew_and_a_reminder_does_not(site: Site) -> None:
    """By usher's own memory: the tenant shows neither."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": 8, "kinds": ["pending_due", "pending_old"]})["kinds"]
    undated = {"spare_addresses": "", "spare_groups": "", "disable_inactive_after": ""}  # nobody here has signed in
    configure(site, **undated)
    again = kinds["pending_old"][0]
    site.start_worker()
    status, _, err = site.run("invite", again, "-c", "contoso", "--resend", "--yes")
    assert status == 0, err
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["disable"]["done"], told["stages"]["remind"]["done"]) == (0, 3, 4), err
    assert listed(site, "--disabled") == set(kinds["pending_old"]) - {again}
    configure(site, **undated, disable_pending_after='"9d"')
    _, told, _ = clean(site)
    assert told["plan"]["would"] == {"remind": 0, "disable": 4, "delete": 0}


def test_a_right_that_is_missing_holds_its_kind_alone(site: Site) -> None:
    """One sentence names it beforehand; the others are done."""
    kinds = populate(site, 200)
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if role != "User.EnableDisableAccount.All"]})
    site.start_worker()
    status, told, err = clean(site, "--yes", "--wait", "2s")
    assert (status, told["state"], told["stages"]["remind"]["done"]) == (3, "held", len(of(kinds, *REMINDED))), err
    (note,) = told["plan"]["notes"]
    assert "User.EnableDisableAccount.All" in note
    assert listed(site, "--disabled") == of(kinds, "disabled", "pending_disabled")


async def test_a_dry_run_forgets_nobody_whom_usher_disabled(site: Site) -> None:
    """Whom a person has let in since is forgotten by a run that does what is due, and only then."""
    site.sandbox.ask("users", {"action": "add", "email": "back@partner.example"})
    configure(site, spare_addresses="", spare_groups="")
    site.start_worker()
    status, _, err = await asyncio.to_thread(
        site.run, "guests", "disable", "back@partner.example", "-c", "contoso", "--yes"
    )
    assert status == 0, err
    site.sandbox.ask("users", {"action": "enable", "email": "back@partner.example"})
    redis: Any = site.desk.client
    (notes,) = [key async for key in redis.scan_iter(f"{site.desk.keys.disabled('')}*")]
    ((guest, note),) = (await redis.hgetall(notes)).items()
    at_ms, _, by = note.partition(b":")
    await redis.hset(notes, guest, b"%d:%s" % (int(at_ms) - 2 * 3600 * 1000, by))
    for more, noted in (((), True), (("--dry-run", "--yes"), True), (("--yes",), False)):
        _, _, err = await asyncio.to_thread(clean, site, *more)
        assert await redis.hexists(notes, guest) is noted, err


def test_a_clean_up_is_not_retried_but_run_once_more(site: Site) -> None:
    """A retry would keep to no ceiling, and run beside another clean-up."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": 3, "kinds": ["inactive"]})["kinds"]
    configure(site, spare_addresses="", spare_groups="")
    message = "Unable to update the specified properties for on-premises mastered Directory Sync objects."
    refused = {"fault": "error", "on": ["item", "update_user"], "status": 400, "message": message}
    site.sandbox.ask("faults", {"faults": [{**refused, "code": "Request_BadRequest"}]})
    site.start_worker()
    status, told, err = clean(site, "--yes")
    assert (status, told["stages"]["disable"]["failed"]) == (1, len(kinds["inactive"])), err
    site.sandbox.ask("faults", {"faults": []})
    status, _, err = site.run("jobs", "retry", told["job"], "--yes")
    assert (status, "usher guests clean once more" in err) == (2, True), err
    assert not listed(site, "--disabled")
