"""`usher guests sync` by the real command: the tenant becomes what the list says, by exactly the
changes that this takes; a list that may not be whole takes nobody away.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.guests.synced import ROLES, Synced, count_writes, guests
from tests.sites import QUOTA, Site

_QUOTA = QUOTA + 'writes_per_app_and_tenant = "100000/1s"\nwrites_per_tenant = "100000/1s"\n'
pytestmark = pytest.mark.sandbox(
    options=("--quota", "off"), latency="0", replication="0", roles=ROLES, quota=_QUOTA, settle_s=4
)
SMALL = Synced(rows=48, joiners=6, leavers=2, movers=8, others=5)
LARGE = Synced(rows=5000, joiners=200, leavers=150, movers=400, others=30)


def run(site: Site, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Run the command; returns the object of --json."""
    done = site.run("guests", "sync", *arguments, "-c", "contoso", "--json")
    assert done.status == status, done.err
    told: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return {**told, "err": done.err}


@pytest.mark.parametrize(
    "case", [SMALL, pytest.param(LARGE, marks=[pytest.mark.long, pytest.mark.timeout(900)])], ids=["48", "5000"]
)
def test_a_tenant_becomes_what_its_list_says(site: Site, case: Synced) -> None:
    """Exactly the difference is written, and a second run writes nothing; the guests of another
    list with the same domains are not touched.
    """
    case.make(site)
    site.start_worker()
    path = case.write(site)
    dry = run(site, path)
    assert (dry["state"], dry["job"], sum(count_writes(site).values())) == ("cancelled", None, 0)
    assert dry["plan"]["would"] == {
        "join": case.joiners,
        "return": 0,
        "move": case.movers,
        "leave": case.leavers,
    }
    assert dry["plan"]["unchanged"] == case.rows - case.joiners - case.movers
    done = run(site, path, "--yes")
    assert (done["state"], done["failed"], done["done"]) == ("done", 0, case.joiners), done
    assert done["rows"] == case.joiners + case.movers + case.leavers
    assert done["stages"]["disable"]["done"] == case.leavers
    case.assert_done(site)
    written = count_writes(site)
    in_groups = {name: written.pop(name, 0) for name in ("update_group", "add_member")}
    assert written == case.least_writes
    assert sum(in_groups.values()) <= (case.joiners + case.movers) / 20 + 4
    before = count_writes(site)
    again = run(site, path, "--yes")
    assert again["job"] is None
    assert set(again["plan"]["would"].values()) == {0}
    assert count_writes(site) == before


def test_the_plan_reads_like_a_difference(site: Site) -> None:
    """A line a guest: what is to be done, to whom, and why; in the order of the list."""
    case = Synced(rows=24, joiners=2, leavers=1, movers=4, others=2)
    case.make(site)
    done = site.run("guests", "sync", case.write(site), "-c", "contoso", "--source", "crm")
    assert done.status == 0, done.err
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines == [
        "~ 1 g0@partner.example company “Partner Ltd” -> “Merged Ltd”",
        "~ 2 g1@partner.example groups + South; leaves North",
        "~ 3 g2@partner.example expires “2099-01-31” -> “2099-12-31”",
        "~ 4 g3@partner.example sponsors + linus@contoso.example",
        "+ 23 g22@partner.example invite; groups North; sponsors ada@contoso.example; until 2099-01-31",
        "+ 24 g23@partner.example invite; groups North; sponsors ada@contoso.example; until 2099-01-31",
        "- left0@partner.example not in the list any more: disable",
    ]
    assert "only with --yes" in done.err
    assert "To leave groups: 1 guest, whom a list puts back" in done.err
    assert sum(count_writes(site).values()) == 0
    site.start_worker()
    done = site.run("guests", "sync", case.write(site), "-c", "contoso", "--source", "crm", "--yes")
    counts = {tuple(line.split()) for line in done.out.splitlines()}
    assert counts >= {("invited", "2"), ("in", "the", "tenant", "5")}, "what became of the rows, in sync's words"
    assert "To take it back: usher guests undo" in done.err


def test_a_list_that_may_not_be_whole_takes_nobody_away(site: Site) -> None:
    """Half of it missing: the ceiling. A row that cannot be read: the guest may be anybody. All
    else is done, and each says so in a sentence.
    """
    case = Synced(rows=40, joiners=2, leavers=1, movers=4, others=2)
    case.make(site)
    site.start_worker()
    half = case.write(site, range(20))
    told = run(site, half)
    assert (told["ceilings"], told["plan"]["would"]["leave"], told["plan"]["found"]["leave"]) == (["most_left"], 0, 19)
    assert "most_left (5%)" in told["err"]
    assert "look whether the list is whole" in told["err"]
    told = run(site, half, "--yes", status=3)
    assert (told["ceilings"], set(told["stages"])) == (["most_left"], {"profile", "sponsors", "groups"})
    now = guests(site)
    assert [email for email, user in now.items() if email.startswith("left") and not user["enabled"]] == []
    assert now["g0@partner.example"]["company"] == "Merged Ltd"
    assert "g1@partner.example" in site.sandbox.ask("groups?name=North")[0]["members"]  # nor out of a group
    told = run(site, case.write(site, bad="not an address,Partner Ltd,,,\n"), "--yes", status=1)
    assert told["plan"]["would"] == {"join": 2, "return": 0, "move": 0, "leave": 0}
    assert "nobody is taken away" in told["err"]
    status, _, err = site.run("jobs", "retry", told["job"], "--yes")
    assert (status, "usher guests sync once more" in err) == (2, True), err
    assert guests(site)["left0@partner.example"]["enabled"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("email,company\n", "no rows"),
        ("Kontakt,company\ng0@partner.example,Partner Ltd\n", "heading"),
        ("company,city\nPartner Ltd,Oslo\n", "no column"),
        ("email,company\nnot an address,Partner Ltd\n", "none of its 1 row can be read"),
        ("<html><body>Sign in</body></html>", "web page"),
    ],
)
def test_what_can_be_no_list_changes_nothing(site: Site, text: str, why: str) -> None:
    """One sentence, and not even a look at the tenant."""
    path = site.folder / "crm.csv"
    path.write_text(text)
    told = run(site, str(path), "--yes", status=2)
    assert why in told["error"], told
    assert "Nothing was done" in told["error"]
    assert sum(site.sandbox.ask("stats")["items"].get("users", {}).values()) == 0


def test_a_tenant_that_cannot_be_listed_is_left_as_it_is(site: Site) -> None:
    """Half a listing would make the other half new in the list."""
    case = Synced(rows=10, joiners=1, leavers=1, movers=0, others=0)
    case.make(site)
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if "Group" not in role]})
    told = run(site, case.write(site), "--yes", status=2)
    assert "GroupMember.Read.All" in told["error"]
    assert sum(count_writes(site).values()) == 0


def test_who_comes_back_is_enabled_and_whom_a_person_disabled_is_not(site: Site) -> None:
    """A leaver is let in again with what changed meanwhile; a guest of the list who was disabled by
    hand stays so, and the plan says it.
    """
    case = Synced(rows=30, joiners=0, leavers=1, movers=1, others=0)
    case.make(site)
    site.start_worker()
    assert run(site, case.write(site, range(1, 30)), "--source", "crm", "--yes", status=3)["ceilings"] == ["most_left"]
    site.sandbox.ask("users", {"action": "delete", "email": "left0@partner.example"})
    gone = run(site, case.write(site, range(1, 30)), "--yes")
    assert (gone["stages"]["disable"]["done"], gone["already"]) == (1, 1)
    site.sandbox.ask("users", {"action": "disable", "email": "g5@partner.example"})
    told = run(site, case.write(site), "--yes")
    assert told["plan"]["would"] == {"join": 0, "return": 1, "move": 0, "leave": 0}
    assert told["plan"]["disabled_by_others"] == 1
    assert "usher guests enable" in told["err"]
    now = guests(site)
    back = now["g0@partner.example"]
    assert (back["enabled"], back["company"]) == (True, "Merged Ltd")
    assert back["extension_attributes"]["extensionAttribute11"] == "crm"
    assert not now["g5@partner.example"]["enabled"]
    assert set(run(site, case.write(site))["plan"]["would"].values()) == {0}


def test_two_lists_do_not_meet(site: Site) -> None:
    """A guest of another list is left to it, whatever this one says; one whom no list has brought
    is taken in only with --adopt, and taken away only then.
    """
    case = Synced(rows=20, joiners=0, leavers=0, movers=0, others=1)
    case.make(site)
    site.sandbox.ask("users", {"action": "add", "email": "by-hand@partner.example"})
    site.start_worker()
    bad = "hr0@partner.example,Stolen Ltd,,,\nby-hand@partner.example,Partner Ltd,,,\n"
    path = case.write(site, bad=bad)
    told = run(site, path, "--yes")
    assert (told["job"], told["plan"]["of_other_lists"], told["plan"]["unmarked"]) == (None, 1, 1)
    assert "--adopt" in told["err"]
    assert guests(site)["hr0@partner.example"] == case.untouched["hr0@partner.example"]
    told = run(site, path, "--adopt", "--yes")
    assert told["plan"]["would"] == {"join": 0, "return": 0, "move": 1, "leave": 0}
    by_hand = guests(site)["by-hand@partner.example"]
    assert (by_hand["company"], by_hand["extension_attributes"]["extensionAttribute11"]) == ("Partner Ltd", "crm")
    told = run(site, case.write(site), "--yes")
    assert told["plan"]["would"] == {"join": 0, "return": 0, "move": 0, "leave": 1}
    assert not guests(site)["by-hand@partner.example"]["enabled"]
    told = run(site, case.write(site, name="hr.csv"))
    assert (told["plan"]["source"], told["plan"]["would"]["leave"], told["plan"]["of_other_lists"]) == ("hr", 1, 20)


def test_names_of_a_list_are_compared_with_the_tenants(site: Site) -> None:
    """A list with names that comes again makes no job; a changed name is the one change."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    site.start_worker()
    path, head = site.folder / "crm.csv", "email,display_name,company\n"
    rows = [f"n{number}@partner.example,Guest {number},Partner Ltd\n" for number in range(5)]
    path.write_text(head + "".join(rows))
    assert run(site, str(path), "--yes")["plan"]["would"]["join"] == 5
    again = run(site, str(path), "--yes")
    assert (again["job"], again["plan"]["would"]) == (None, {"join": 0, "return": 0, "move": 0, "leave": 0})
    path.write_text(head + "".join(rows).replace("Guest 3", "Guest Three"))
    assert run(site, str(path), "--yes")["plan"]["would"]["move"] == 1
    assert guests(site)["n3@partner.example"]["display_name"] == "Guest Three"
    assert run(site, str(path), "--yes")["job"] is None


def test_one_job_of_a_list_at_a_time(site: Site) -> None:
    """While an earlier one has not ended nothing new is begun: it could undo what a newer one
    does.
    """
    case = Synced(rows=20, joiners=1, leavers=0, movers=0, others=0)
    case.make(site)
    told = run(site, case.write(site), "--yes", "--detach", status=3)
    again = run(site, case.write(site), "--yes", status=2)
    assert told["job"] in again["error"]
    assert "has not ended" in again["error"]
    assert run(site, case.write(site))["plan"]["would"]["join"] == 1


def test_a_mark_that_could_not_be_written_is_written_by_the_next_run(site: Site) -> None:
    """A guest whom the list has invited is known as its own by the job that did it."""
    case = Synced(rows=20, joiners=1, leavers=0, movers=0, others=0)
    case.make(site)
    site.start_worker()
    refuse = {"fault": "error", "on": ["update_user"], "every": 1, "status": 400, "code": "Request_BadRequest"}
    site.sandbox.ask("faults", {"faults": [{**refuse, "message": "Invalid value specified."}]})
    told = run(site, case.write(site), "--yes", status=1)
    assert (told["done"], told["stages"]["profile"]["failed"]) == (1, 1)
    site.sandbox.ask("faults", {"spec": ""})
    told = run(site, case.write(site), "--yes")
    assert (told["plan"]["would"]["move"], told["plan"]["unmarked"]) == (1, 0)
    case.assert_done(site)


def test_a_guest_is_known_by_every_address_that_the_tenant_has(site: Site) -> None:
    """Also by the one that they were invited with, after a move: nobody is taken away whom the list
    names, nor invited a second time. A column that means nothing is told of.
    """
    case = Synced(rows=20, joiners=0, leavers=0, movers=0, others=0)
    case.make(site)
    moved = {"action": "change", "email": "g0@partner.example", "mail": "new@elsewhere.example"}
    site.sandbox.ask("users", {**moved, "other_mails": [], "proxy_addresses": []})
    other = {"action": "change", "email": "g1@partner.example", "mail": "g1@elsewhere.example"}
    site.sandbox.ask("users", {**other, "other_mails": ["G1@Partner.example"], "proxy_addresses": []})
    told = run(site, case.write(site))
    assert set(told["plan"]["would"].values()) == {0}, told
    path = site.folder / "crm.csv"
    path.write_text(path.read_text().replace("email,company,expires", "email,company,shoe size"))
    told = run(site, str(path))
    assert "shoe size" in told["err"]
    assert set(told["plan"]["would"].values()) == {0}


def test_a_listing_that_begins_again_takes_nobody_twice(site: Site) -> None:
    """Its second page ended early: what the first one showed is forgotten and read anew."""
    case = Synced(rows=1100, joiners=2, leavers=3, movers=4, others=5)
    case.make(site)
    ended = {"fault": "error", "status": 400, "code": "Directory_ExpiredPageToken", "message": "The token expired."}
    site.sandbox.ask("faults", {"faults": [{**ended, "on": ["users"], "skip": 2, "times": 1}]})
    told = run(site, case.write(site))
    assert told["plan"]["would"] == {"join": 2, "return": 0, "move": 4, "leave": 3}
    assert (told["plan"]["unchanged"], told["plan"]["guests"]) == (1094, 1101)
    assert [one["status"] for one in site.sandbox.ask("requests?operation=users")] == [200, 400, 200, 200]
