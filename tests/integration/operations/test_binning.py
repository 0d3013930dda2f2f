"""Guests are deleted and restored on a real worker: never a member, never who holds or may take a
directory role; each once, whatever answer is lost and whoever is killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts

GUARD = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"]
LEAST = ["User.Invite.All", "User.Read.All", "User.DeleteRestore.All", *GUARD]


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may do what this needs, and no more."""
    async with open_site(valkey_url, sandbox, latency="0.01", replication="0", roles=LEAST) as site:
        yield site


def add(site: Site, count: int, name: str = "g") -> dict[str, str]:
    """Put guests into the tenant; returns their ids by address."""
    emails = [f"{name}{n}@partner.example" for n in range(count)]
    site.sandbox.ask("users", {"action": "add", "users": [{"email": email} for email in emails]})
    found = ids(site)
    return {email: found[email] for email in emails}


def ids(site: Site) -> dict[str, str]:
    """Return the ids of all guests who are there, by address."""
    return {guest["email"]: guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}


def writes(site: Site, operation: str) -> dict[str, int]:
    """Return how often the sandbox was asked for something, by status."""
    found: dict[str, int] = site.sandbox.ask("stats")["items"].get(operation, {})
    return found


@pytest.mark.usefixtures("one_day")
async def test_guests_are_deleted_and_restored_once(site: Site) -> None:
    """By address or id; a list that comes again finds all as it should be and writes nothing; each
    row says until when there is a way back; who is restored is the same guest as before.
    """
    guests = add(site, 45)
    named = [id_ if n % 2 else email for n, (email, id_) in enumerate(guests.items())]
    site.start_worker()
    view = await site.ended(await site.load(named, job="d", operation="delete"))
    assert view.counts == Counts(rows=45, done=45)
    assert not guests.keys() & ids(site).keys()
    rows = await site.results("d")
    assert [row["user_id"] for row in rows] == list(guests.values())
    for row in rows:
        until = datetime.fromisoformat(row["finished_at"]) + timedelta(days=30)
        assert row["error_message"] == f"Can be restored until {until:%Y-%m-%d}."
        assert row["error_code"] == ""
    view = await site.ended(await site.load(named, job="d2", operation="delete"))
    assert view.counts == Counts(rows=45, already=45)
    assert {row["error_message"] for row in await site.results("d2")} == {rows[0]["error_message"]}
    view = await site.ended(await site.load(named, job="r", operation="restore"))
    assert view.counts == Counts(rows=45, done=45)
    assert guests.items() <= ids(site).items()
    view = await site.ended(await site.load(named, job="r2", operation="restore"))
    assert view.counts == Counts(rows=45, already=45)
    assert (writes(site, "delete_user"), writes(site, "restore")) == ({"204": 45}, {"200": 45})


async def test_nobody_is_deleted_who_must_not_be(site: Site) -> None:
    """Members, accounts that came otherwise, and whoever holds or may take a role: Graph is not
    asked once for them.
    """
    emails = list(add(site, 12))
    site.sandbox.ask("users", {"action": "add", "email": "internal@partner.example", "creation_type": None})
    for email, role in ((emails[0], "assigned"), (emails[1], "eligible")):
        site.sandbox.ask("users", {"action": "role", "email": email, "role": role})
    chiefs = {"kind": "role-assignable", "members": emails[2:3], "owners": emails[3:4]}
    site.sandbox.ask("groups", {"action": "add", "name": "Chiefs", **chiefs})
    site.start_worker()
    others = ["ada@contoso.example", "internal@partner.example", "nobody@partner.example"]
    job = await site.load([*emails, *others], operation="delete")
    view = await site.ended(job)
    assert view.counts == Counts(rows=15, done=8, failed=7)
    codes = [row["error_code"] for row in await site.results(job)]
    assert codes == [*["role_holder"] * 4, *[""] * 8, "own_member", "not_invited", "not_there"]
    assert writes(site, "delete_user") == {"204": 8}


@pytest.mark.parametrize("missing", GUARD[::2])
async def test_where_nobody_can_tell_whom_to_spare_nobody_is_deleted(site: Site, missing: str) -> None:
    """The job is held with the permission's name."""
    site.sandbox.ask("policy", {"roles": [role for role in LEAST if role != missing]})
    guests = add(site, 5)
    site.start_worker()
    job = await site.load(list(guests), operation="delete")

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.gate.held else None

    assert missing in (await site.until("a hold", held)).gate.why
    assert guests.items() <= ids(site).items()
    site.sandbox.ask("policy", {"roles": LEAST})


@pytest.mark.parametrize("operation", ["delete", "restore"])
async def test_trouble_on_the_way_ends_nothing(site: Site, operation: str) -> None:
    """429s, lost answers and a killed worker: a lost answer is found out in the bin or in the
    directory; every row ends once and well, and nothing is done twice.
    """
    guests = add(site, 60)
    first = site.start_worker()
    if operation == "restore":
        await site.ended(await site.load(list(guests), job="before", operation="delete"))
    call = {"delete": "delete_user", "restore": "restore"}[operation]
    site.sandbox.ask("faults", {"spec": f"429@item@{call}=1*3,504-after@item@{call}=0.2"})
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.load(list(guests), operation=operation)
    await site.some(job, 10)
    kill(first)
    site.sandbox.ask("latency", {"latency": "0.05"})
    site.start_worker()
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=60, done=60)
    assert bool(guests.keys() & ids(site).keys()) is (operation == "restore")
    assert "404" not in writes(site, call), "who was deleted by a lost call is not deleted again"


async def test_who_cannot_be_restored_is_told_why(site: Site) -> None:
    """Purged, taken by somebody else, a member; the others are restored."""
    guests = add(site, 4)
    purged, taken, *fine = guests
    site.start_worker()
    await site.ended(await site.load([taken, *fine], job="d", operation="delete"))
    site.sandbox.ask("users", {"action": "purge", "email": purged})
    site.sandbox.ask("users", {"action": "add", "email": taken})
    given = [guests[purged], guests[taken], *fine, "never@partner.example"]
    view = await site.ended(await site.load(given, job="r", operation="restore"))
    codes = [row["error_code"] for row in await site.results("r")]
    assert view.counts == Counts(rows=5, done=2, failed=3), codes
    assert codes[0] == codes[4] == "not_there"
    messages = [row["error_message"] for row in await site.results("r")]
    assert "more than 30 days ago" in messages[0]
    assert "somebody else has the address" in messages[1]


async def test_of_several_deleted_guests_the_last_is_restored(site: Site) -> None:
    """An address that was invited and deleted time and again; an id says which."""
    site.start_worker()
    deleted: list[Any] = []
    for n in range(3):
        (guest,) = add(site, 1).values()
        deleted.append(guest)
        await site.ended(await site.load([guest], job=f"d{n}", operation="delete"))
    await site.ended(await site.load(["g0@partner.example"], job="r", operation="restore"))
    assert ids(site)["g0@partner.example"] == deleted[-1]
    view = await site.ended(await site.load(["g0@partner.example"], job="r2", operation="restore"))
    assert view.counts == Counts(rows=1, already=1)


NOT_SEARCHED = {"fault": "error", "on": ["item", "deleted"], "every": 1, "status": 400}


async def test_a_bin_that_cannot_be_searched_is_read_whole(site: Site) -> None:
    """By address and id, whoever is there and whoever is not."""
    guests = add(site, 5)
    named = [id_ if n % 2 else email for n, (email, id_) in enumerate(guests.items())]
    site.sandbox.ask("faults", {"faults": [NOT_SEARCHED]})
    site.start_worker()
    view = await site.ended(await site.load([*named, "gone@partner.example"], job="d", operation="delete"))
    assert view.counts == Counts(rows=6, done=5, failed=1)
    assert (await site.results("d"))[5]["error_code"] == "not_there"
    view = await site.ended(await site.load(named, job="d2", operation="delete"))
    assert view.counts == Counts(rows=5, already=5)
    view = await site.ended(await site.load(named, job="r", operation="restore"))
    assert view.counts == Counts(rows=5, done=5)
    assert guests.items() <= ids(site).items()
