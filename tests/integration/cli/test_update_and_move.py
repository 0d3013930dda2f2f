"""`usher guests update` and `move` by the real command: a list is compared, addresses are changed,
and what cannot be done is said before.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sites import Site

ROLES = (
    *("User.Invite.All", "User.ReadWrite.All", "GroupMember.ReadWrite.All"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory"),
)
pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=ROLES)
EMAILS = [f"g{n}@partner.example" for n in range(4)]


def prepare(site: Site) -> None:
    """Put guests into the tenant, of whom the first holds a role."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    users = [{"email": email, "state": "Accepted"} for email in EMAILS]
    site.sandbox.ask("users", {"action": "add", "users": users})
    site.sandbox.ask("users", {"action": "role", "email": EMAILS[0], "role": "assigned"})


def told(out: str) -> dict[str, Any]:
    """Return the object of --json."""
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_a_list_is_compared_and_the_difference_written(site: Site) -> None:
    """The dry run tells what would be written, and who is so already; a group that is named is
    joined, and nobody is invited.
    """
    prepare(site)
    path = site.folder / "crm.csv"
    path.write_text("\n".join(["email,company,groups", *(f"{email},Acme,Partners" for email in EMAILS)]) + "\n")
    site.start_worker()
    command = ("guests", "update", str(path), "-c", "contoso", "--json")
    status, out, err = site.run(*command, "--dry-run")
    assert (status, told(out)["plan"]["would"]) == (1, {"update": 3, "skip": 0, "refuse": 1}), err
    assert told(out)["plan"]["stages"]["groups"]["would"]["do"] == 3
    status, out, err = site.run(*command, "--yes")
    counts = told(out)
    assert (status, counts["operation"], counts["done"], counts["failed"]) == (1, "update", 3, 1), err
    assert counts["stages"]["groups"]["done"] == 3
    status, out, err = site.run(*command, "--dry-run")
    assert told(out)["plan"]["would"] == {"update": 0, "skip": 3, "refuse": 1}, err
    assert told(out)["plan"]["stages"]["groups"]["would"]["already"] == 3
    assert "Not checked" not in site.run(*command[:-1], "--dry-run").out, "a heading with nothing below"
    status, out, err = site.run(*command, "--yes", "--most", "0")
    assert (status, told(out)["already"]) == (1, 3), err
    assert site.sandbox.ask("stats")["mails"]["total"] == 0


def test_guests_are_moved(site: Site) -> None:
    """By pairs or by a list; a row without a new address, and who holds a role, is told."""
    prepare(site)
    site.start_worker()
    for wrong in (["a@b.example"], ["a@b.example=c"], ["a@b.example=c@d.example", "e@f.example"]):
        assert site.run("guests", "move", *wrong, "-c", "contoso").status == 2
    ids = {guest["email"]: guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}
    pairs = [f"{EMAILS[1]}=one@new.example", f"{ids[EMAILS[2]]}=two@new.example"]
    status, out, err = site.run("guests", "move", *pairs, "-c", "contoso", "--dry-run")
    assert status == 0, err
    assert [line.split()[1] for line in out.splitlines() if line] == ["move", "move"]
    assert [line.split()[-1] for line in out.splitlines() if line] == ["one@new.example", "two@new.example"]
    status, out, err = site.run("guests", "move", *pairs, "-c", "contoso", "--json", "--yes")
    assert (status, told(out)["done"]) == (0, 2), err
    after = {guest["email"]: guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}
    assert (after["one@new.example"], after["two@new.example"]) == (ids[EMAILS[1]], ids[EMAILS[2]])
    path = site.folder / "moves.csv"
    rows = [f"{EMAILS[0]},zero@new.example", f"{EMAILS[1]},one@new.example", f"{EMAILS[3]},{EMAILS[3]}"]
    path.write_text("\n".join(["email,new_email", *rows, "x@partner.example,"]) + "\n")
    status, out, err = site.run("guests", "move", str(path), "-c", "contoso", "--json", "--yes")
    counts = told(out)
    assert (status, counts["rows"], counts["skipped"], counts["failed"]) == (1, 4, 1, 3), err
    results = site.run("jobs", "results", counts["job"], "--format", "jsonl").out.splitlines()
    codes = [json.loads(line)["error_code"] for line in results]
    assert codes == ["role_holder", "moved_before", "invalid_row", "invalid_row"]
    assert site.sandbox.ask("stats")["mails"]["total"] == 2
