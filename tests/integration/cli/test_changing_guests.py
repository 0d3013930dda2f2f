"""`usher guests disable`, `delete` and what undoes them by the real command: nothing without --yes,
nothing beyond a ceiling, never who must not be touched.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sites import Site

ROLES = (
    *("User.Invite.All", "User.Read.All", "User.EnableDisableAccount.All", "User.DeleteRestore.All"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"),
)
pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=ROLES)
EMAILS = [f"g{n}@partner.example" for n in range(6)]


def prepare(site: Site) -> str:
    """Put guests into the tenant, of whom the first holds a role and the second may take one;
    returns the file that lists them, and a member.
    """
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    there = ids(site)
    site.sandbox.ask("users", {"action": "add", "users": [{"email": one} for one in EMAILS if one not in there]})
    for email, role in ((EMAILS[0], "assigned"), (EMAILS[1], "eligible")):
        site.sandbox.ask("users", {"action": "role", "email": email, "role": role})
    path = site.folder / "leavers.csv"
    path.write_text("\n".join(["email", *EMAILS, "ada@contoso.example"]) + "\n")
    return str(path)


def ids(site: Site) -> dict[str, str]:
    """Return the ids of all guests who are there, by address."""
    return {guest["email"]: guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}


def disabled(site: Site) -> list[str]:
    """Return which of these guests cannot sign in."""
    guests = site.sandbox.ask("guests?limit=5000")
    return sorted(guest["email"] for guest in guests if not guest["enabled"] and guest["email"] in EMAILS)


def told(out: str) -> dict[str, Any]:
    """Return the object of --json."""
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_nothing_is_done_without_yes(site: Site) -> None:
    """Each row is shown with its reason; no job stays behind."""
    path = prepare(site)
    command = ("guests", "disable", path, "-c", "contoso")
    status, out, err = site.run(*command)
    assert status == 0, err
    lines = out.splitlines()
    assert [line.split()[:3] for line in lines if line] == [
        *[[str(n), "refuse", EMAILS[n - 1]] for n in (1, 2)],
        *[[str(n), "disable", EMAILS[n - 1]] for n in (3, 4, 5, 6)],
        ["7", "refuse", "ada@contoso.example"],
    ]
    assert "directory role" in lines[0]
    assert "member of the tenant" in lines[-1]
    status, out, _ = site.run(*command, "--json")
    assert (status, told(out)["plan"]["would"]) == (0, {"disable": 4, "skip": 0, "refuse": 3})
    assert (told(out)["cancelled"], told(out)["failed"], told(out)["ceilings"]) == (4, 3, [])
    assert told(out)["plan"]["because"] == {"role_holder": 2, "own_member": 1}
    assert site.run(*command, "--yes", "--dry-run")[0] == 0
    assert disabled(site) == []
    assert "No jobs yet" in site.run("jobs", "list").out


def test_nothing_is_done_beyond_the_ceiling(site: Site) -> None:
    """Not to one of them, and it says so; at the ceiling all is done."""
    path = prepare(site)
    site.start_worker()
    command = ("guests", "disable", path, "-c", "contoso", "--yes", "--json")
    status, out, err = site.run(*command, "--most", "3")
    assert (status, told(out)["ceilings"], disabled(site)) == (3, ["most"], [])
    assert "--most 3" in err
    status, out, err = site.run(*command, "--most", "4")
    assert (status, disabled(site)) == (1, EMAILS[2:]), err
    counts = told(out)
    assert (counts["state"], counts["rows"], counts["done"], counts["failed"]) == ("done", 7, 4, 3)
    status, out, err = site.run("guests", "enable", EMAILS[2], EMAILS[3], "-c", "contoso", "--json")
    assert (status, told(out)["done"], disabled(site)) == (0, 2, EMAILS[4:]), err
    status, out, err = site.run("guests", "enable", EMAILS[2], "-c", "contoso", "--json")
    assert (status, told(out)["already"]) == (0, 1), err


def test_where_a_list_cannot_be_read_nobody_would_be_disabled(site: Site) -> None:
    """The plan says which permission is missing."""
    path = prepare(site)
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if role != "GroupMember.Read.All"]})
    status, out, err = site.run("guests", "disable", path, "-c", "contoso", "--json")
    assert (status, told(out)["plan"]["would"]) == (0, {"disable": 0, "skip": 0, "refuse": 7})
    assert "GroupMember.Read.All" in err


def test_a_retry_does_the_same_again(site: Site) -> None:
    """To rows that failed, by the id or address that they name; nothing without --yes; nobody is
    invited or mailed by it.
    """
    prepare(site)
    site.start_worker()
    member, holder = "ada@contoso.example", ids(site)[EMAILS[0]]
    status, out, err = site.run("guests", "disable", EMAILS[2], holder, member, "-c", "contoso", "--yes", "--json")
    assert (status, told(out)["done"], told(out)["failed"]) == (1, 1, 2), err
    job = told(out)["job"]
    site.sandbox.ask("users", {"action": "role", "email": EMAILS[0], "role": ""})
    status, out, err = site.run("jobs", "retry", job)
    assert [line.split()[:3] for line in out.splitlines()] == [["1", "disable", holder], ["2", "refuse", member]], err
    assert (status, disabled(site)) == (0, [EMAILS[2]])
    status, out, err = site.run("jobs", "retry", job, "--yes", "--json")
    assert (status, told(out)["operation"], told(out)["rows"], told(out)["done"]) == (1, "disable", 2, 1), err
    assert disabled(site) == [EMAILS[0], EMAILS[2]]
    assert site.sandbox.ask("stats")["mails"]["total"] == 0


def test_what_is_remembered_of_a_disabled_guest_is_told_and_forgotten(site: Site) -> None:
    """By the id alone, as by the address."""
    prepare(site)
    site.start_worker()
    ids = {guest["email"]: guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}
    assert site.run("guests", "disable", *EMAILS[2:4], "-c", "contoso", "--yes", "--json").status == 0
    for email, who in ((EMAILS[2], EMAILS[2]), (EMAILS[3], ids[EMAILS[3]])):
        (one,) = told(site.run("guests", "export", who, "--json").out)["disabled"]
        assert one["user_id"] == ids[email]
        assert f"{ids[email]} since" in site.run("guests", "export", who).out
        assert told(site.run("guests", "forget", who, "--yes", "--json").out)["disabled"] == 1
        assert told(site.run("guests", "export", ids[email], "--json").out)["disabled"] == []


def test_guests_are_deleted_and_restored_by_id_and_address(site: Site) -> None:
    """On the command line and in a list; nothing without --yes; each row says until when there is a
    way back.
    """
    prepare(site)
    site.start_worker()
    before = ids(site)
    path = site.folder / "mixed.csv"
    path.write_text("\n".join(["email", EMAILS[2], before[EMAILS[3]].upper(), before[EMAILS[0]]]) + "\n")
    command = ("guests", "delete", str(path), "-c", "contoso")
    status, out, err = site.run(*command)
    assert status == 0, err
    assert [line.split()[:2] for line in out.splitlines()] == [["1", "delete"], ["2", "delete"], ["3", "refuse"]]
    assert ids(site) == before
    status, out, err = site.run(*command, "--yes", "--json")
    assert (status, told(out)["operation"], told(out)["done"], told(out)["failed"]) == (1, "delete", 2, 1), err
    assert ids(site).keys() == before.keys() - set(EMAILS[2:4])
    results = site.run("jobs", "results", told(out)["job"], "--format", "jsonl").out
    rows = [json.loads(line) for line in results.splitlines()]
    assert [row["error_message"][:22] for row in rows[:2]] == ["Can be restored until "] * 2
    status, out, err = site.run("guests", "delete", EMAILS[2], "-c", "contoso", "--dry-run")
    assert "skip" in out
    assert "Can be restored until" in out
    status, out, err = site.run("guests", "restore", EMAILS[2], before[EMAILS[3]], "-c", "contoso", "--json")
    assert (status, told(out)["done"]) == (0, 2), err
    assert ids(site) == before


@pytest.mark.parametrize(
    ("source", "words"),
    [((), "Give the guests"), (("11111111-1111-1111-1111-111111111111", "ann"), "neither an address nor an object id")],
)
def test_what_names_nobody_is_one_sentence(site: Site, source: tuple[str, ...], words: str) -> None:
    """Nothing is started for it."""
    status, out, err = site.run("guests", "restore", *source, "-c", "contoso")
    assert (status, out, words in err) == (2, "", True), err
