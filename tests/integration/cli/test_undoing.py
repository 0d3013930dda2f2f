"""`usher guests undo` by the real command: what a job has done is undone row by row, what cannot be
is told, and nothing is done without --yes or twice.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sites import Site, kill

ROLES = (
    *("User.Invite.All", "User.Read.All", "User.EnableDisableAccount.All", "User.DeleteRestore.All"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"),
)
pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=ROLES)
EMAILS = [f"g{n}@partner.example" for n in range(7)]


def there(site: Site) -> dict[str, dict[str, Any]]:
    """Return the guests who are in the tenant, by address."""
    return {guest["email"]: guest for guest in site.sandbox.ask("guests?limit=5000")}


def change(site: Site, email: str, action: str, **more: Any) -> None:
    """Let somebody else do something to a guest."""
    site.sandbox.ask("users", {"action": action, "email": email, **more})


def run(site: Site, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run a command with --json; returns its status, the object and what it said."""
    status, out, err = site.run("guests", *words, "--json")
    return status, json.loads(out.splitlines()[-1]), err


@pytest.fixture
def guests(site: Site) -> dict[str, dict[str, Any]]:
    """Guests of the tenant, by address."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    known = there(site)
    site.sandbox.ask("users", {"action": "add", "users": [{"email": one} for one in EMAILS if one not in known]})
    site.start_worker()
    return there(site)


def test_who_was_disabled_is_enabled_again(site: Site, guests: dict[str, dict[str, Any]]) -> None:
    """Whom somebody else had disabled before is not; who is as before is skipped; who is gone, was
    deleted since, or holds a role by now fails with the reason; the second time nothing is left
    to do, and a retry does what can be done by then.
    """
    change(site, EMAILS[0], "disable")
    status, told, err = run(site, "disable", *EMAILS, "-c", "contoso", "--yes")
    assert (status, told["done"], told["already"]) == (0, 6, 1), err
    change(site, EMAILS[1], "enable")
    change(site, EMAILS[2], "delete")
    change(site, EMAILS[3], "purge")
    change(site, EMAILS[4], "role", role="assigned")
    job = told["job"]
    status, out, err = site.run("guests", "undo", job)
    assert status == 0, err
    lines = {line.split()[2]: line for line in out.splitlines()}
    assert [lines[email].split()[1] for email in EMAILS[1:]] == ["skip", *["refuse"] * 3, "enable", "enable"]
    assert EMAILS[0] not in lines, "the job did nothing to them"
    assert "Enabled already" in lines[EMAILS[1]]
    assert "deleted since" in lines[EMAILS[2]]
    assert "30 days" in lines[EMAILS[3]]
    assert "directory role" in lines[EMAILS[4]]
    assert lines[EMAILS[5]].endswith(f"disabled by job {job}")
    assert "only with --yes" in err
    assert not there(site)[EMAILS[5]]["enabled"]
    status, told, err = run(site, "undo", job, "--yes", "--most", "1")
    assert (status, told["ceilings"], there(site)[EMAILS[5]]["enabled"]) == (3, ["most"], False), err
    status, told, err = run(site, "undo", job, "--yes")
    assert (status, told["operation"], told["state"]) == (1, "undo", "done"), err
    assert (told["rows"], told["done"], told["skipped"], told["failed"]) == (6, 2, 1, 3)
    assert told["stages"]["enable"]["done"] == 2
    undone = told["job"]
    results = site.run("jobs", "results", undone, "--format", "jsonl").out
    assert {row["enable_error"] for row in map(json.loads, results.splitlines()) if row["status"] != "done"} == {
        "Not done: how the row itself ended says why."
    }
    enabled = {email: guest["enabled"] for email, guest in there(site).items() if email in EMAILS}
    assert enabled == {one: one in (EMAILS[1], *EMAILS[5:]) for one in (*EMAILS[:2], *EMAILS[4:])}
    status, told, err = run(site, "undo", job, "--yes")
    assert (status, told["done"], told["skipped"], told["failed"]) == (1, 0, 3, 3), err
    change(site, EMAILS[4], "role", role="")
    status, out, err = site.run("jobs", "retry", undone, "--yes", "--json")
    told = json.loads(out.splitlines()[-1])
    assert (status, told["rows"], told["done"], told["failed"]) == (1, 3, 1, 2), err
    assert there(site)[EMAILS[4]]["enabled"]


def test_who_was_deleted_is_restored(site: Site, guests: dict[str, dict[str, Any]]) -> None:
    """The same guests, each once; an undo of an undo does not exist."""
    status, _, err = site.run("guests", "delete", *EMAILS[:3], "-c", "contoso", "--yes")
    (job,) = (line.split()[-1] for line in err.splitlines() if "usher guests undo" in line)
    shown = site.run("jobs", "show", job).out
    assert (status, shown.split()[:6]) == (0, ["Job", job, "Connection", "contoso", "Operation", "delete"]), err
    status, told, err = run(site, "undo", job)
    assert (status, told["plan"]["would"]) == (0, {"restore": 3, "skip": 0, "refuse": 0}), err
    status, told, err = run(site, "undo", job, "--yes")
    assert (status, told["done"], told["stages"]["restore"]["done"]) == (0, 3, 3), err
    assert [there(site)[email]["id"] for email in EMAILS[:3]] == [guests[email]["id"] for email in EMAILS[:3]]
    undo = told["job"]
    listed = site.run("jobs", "list", COLUMNS="200").out.splitlines()
    assert listed[0].split()[:6] == ["Job", "Connection", "Operation", "State", "Rows", "Done"]
    assert listed[1].split()[:3] == [undo, "contoso", "undo"]
    status, told, err = run(site, "undo", job, "--yes")
    assert (status, told["skipped"], told["rows"]) == (0, 3, 3), err
    status, out, _ = site.run("guests", "undo", job, "--yes")
    assert (status, [line.split()[:2] for line in out.splitlines() if "so nothing is to be undone" in line]) == (
        0,
        [["3", "There"]],
    )
    status, told, err = run(site, "undo", undo, "--yes")
    assert (status, "cannot be undone" in told["error"]) == (2, True)


def test_what_cannot_be_undone_is_one_sentence(site: Site, guests: dict[str, dict[str, Any]]) -> None:
    """A job that invites, one that does not exist, one that goes on."""
    status, out, err = site.run("invite", "new@partner.example", "-c", "contoso", "--yes", "--json")
    assert status == 0, err
    status, told, err = run(site, "undo", json.loads(out.splitlines()[-1])["job"], "--yes")
    assert (status, "only be what a job has disabled or deleted" in told["error"]) == (2, True)
    status, told, err = run(site, "undo", "nosuchjob", "--yes")
    assert (status, "There is no job" in told["error"]) == (2, True)


def test_a_worker_killed_in_the_middle_restores_each_guest_once(site: Site) -> None:
    """Also where answers are lost: who was restored is found in the directory."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    emails = [f"k{n}@partner.example" for n in range(60)]
    site.sandbox.ask("users", {"action": "add", "users": [{"email": email} for email in emails]})
    before = there(site)
    first = site.start_worker()
    path = site.folder / "leavers.csv"
    path.write_text("\n".join(["email", *emails]) + "\n")
    status, told, err = run(site, "delete", str(path), "-c", "contoso", "--yes")
    assert (status, told["done"]) == (0, 60), err
    site.sandbox.ask("faults", {"spec": "504-after@item@restore=0.3"})
    status, told, err = run(site, "undo", told["job"], "--yes", "--detach")
    assert status == 3, err
    while "restore" not in site.sandbox.ask("stats")["items"]:
        assert site.run("jobs", "show", told["job"]).status == 0
    kill(first)
    site.start_worker()
    status, out, err = site.run("jobs", "watch", told["job"], "--json")
    ended = json.loads(out.splitlines()[-1])
    assert (status, ended["done"], ended["stages"]["restore"]["done"]) == (0, 60, 60), err
    assert before == there(site)
    answered = site.sandbox.ask("stats")["items"]["restore"]
    assert answered.get("200", 0) + answered.get("504", 0) == 60
    assert "404" not in answered


def test_whom_another_job_has_disabled_since_stays_so(site: Site, guests: dict[str, dict[str, Any]]) -> None:
    """It had its own reason; undoing that job lets the guest in."""
    email = EMAILS[6]
    jobs = []
    for _ in range(2):
        change(site, email, "enable")
        status, told, err = run(site, "disable", email, "-c", "contoso", "--yes")
        assert (status, told["done"]) == (0, 1), err
        jobs.append(told["job"])
    status, told, err = run(site, "undo", jobs[0], "--yes")
    assert (status, told["done"], told["skipped"], there(site)[email]["enabled"]) == (0, 0, 1, False), err
    status, told, err = run(site, "undo", jobs[1], "--yes")
    assert (status, told["done"], there(site)[email]["enabled"]) == (0, 1, True), err
