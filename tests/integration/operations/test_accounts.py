"""Guests are disabled and enabled on a real worker: never a member, never who holds or may take a
directory role, nobody where that cannot be told; each once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.ledger.audit.trail import row_lines
from worker.ledger.gates import HoldReason
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts

GUARD = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"]
LEAST = ["User.Invite.All", "User.Read.All", "User.EnableDisableAccount.All", *GUARD]


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may do what this needs, and no more."""
    async with open_site(valkey_url, sandbox, latency="0.02", replication="0", roles=LEAST) as site:
        yield site


def add(site: Site, count: int, **columns: Any) -> list[str]:
    """Put guests into the tenant; returns their addresses."""
    emails = [f"g{n}@partner.example" for n in range(count)]
    for email in emails:
        site.sandbox.ask("users", {"action": "add", "email": email, **columns})
    return emails


def disabled(site: Site) -> set[str]:
    """Return the addresses of those who cannot sign in, without whom the sandbox begins with."""
    guests = site.sandbox.ask("guests?limit=5000")
    return {guest["email"] for guest in guests if not guest["enabled"]} - {"disabled@partner.example"}


def writes(site: Site) -> dict[str, int]:
    """Return how often the sandbox was asked to change a user, by status."""
    found: dict[str, int] = site.sandbox.ask("stats")["items"].get("update_user", {})
    return found


async def test_guests_are_disabled_and_enabled_once(site: Site) -> None:
    """A list that comes again finds all as it should be and writes nothing; results and audit tell
    of it in its own words, with each guest's id, by which it can be undone.
    """
    emails = add(site, 45)
    site.start_worker()
    for operation, job in (("disable", "d"), ("enable", "e")):
        view = await site.ended(await site.load(emails, job=job, operation=operation))
        assert view.counts == Counts(rows=45, done=45)
        assert disabled(site) == (set(emails) if operation == "disable" else set())
        again = await site.ended(await site.load(emails, job=f"{job}2", operation=operation))
        assert again.counts == Counts(rows=45, already=45)
    assert writes(site) == {"204": 90}
    ids = {guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}
    assert {row["user_id"] for row in await site.results("d")} <= ids
    lines = [line async for rows, kept in site.desk.jobs.trail.rows("d") for line in row_lines(rows, kept)]
    assert {(line["operation"], line["outcome"]) for line in lines} == {("disable", "done")}
    assert len({line["object_id"] for line in lines}) == 45


async def test_nobody_is_touched_who_must_not_be(site: Site) -> None:
    """Members, accounts that came otherwise, and whoever holds or may take a role, in every way
    there is: their rows say why, and Graph is not asked once for them.
    """
    emails = add(site, 12)
    site.sandbox.ask("users", {"action": "add", "email": "internal@partner.example", "creation_type": None})
    for email, role in ((emails[0], "assigned"), (emails[1], "eligible")):
        site.sandbox.ask("users", {"action": "role", "email": email, "role": role})
    for name, of_group in (
        ("Chiefs", {"kind": "role-assignable", "members": emails[2:3], "owners": emails[3:4]}),
        ("Duty", {"role": "assigned", "members": emails[4:5], "owners": emails[5:6]}),
        ("Standby", {"role": "eligible", "members": emails[6:7], "owners": emails[7:8]}),
    ):
        site.sandbox.ask("groups", {"action": "add", "name": name, **of_group})
    site.start_worker()
    others = ["ada@contoso.example", "internal@partner.example", "nobody@partner.example"]
    job = await site.load([*emails, *others], operation="disable")
    view = await site.ended(job)
    assert view.counts == Counts(rows=15, done=4, failed=11)
    codes = [row["error_code"] for row in await site.results(job)]
    assert codes == [*["role_holder"] * 8, *[""] * 4, "own_member", "not_invited", "not_there"]
    assert disabled(site) == set(emails[8:])
    assert writes(site) == {"204": 4}


@pytest.mark.parametrize("missing", GUARD)
async def test_a_list_that_cannot_be_read_saves_everybody(site: Site, missing: str) -> None:
    """The job is held with the permission's name and goes on once it is there; invitations are not
    held.
    """
    lacking = [role for role in LEAST if role != missing]
    site.sandbox.ask("policy", {"roles": lacking})
    if missing == "RoleEligibilitySchedule.Read.Directory":  # another permission would do there
        refuse = {"fault": "error", "on": ["item", "role_eligibilities"], "every": 1, "status": 403}
        denied = {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}
        site.sandbox.ask("faults", {"faults": [refuse | denied]})
    emails = add(site, 25)
    site.start_worker()
    job = await site.load(emails, operation="disable")

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.gate.kind is HoldReason.PERMISSION else None

    view = await site.until("a hold for the list", held)
    assert missing in view.gate.why
    assert (await site.ended(await site.load(["new@partner.example"]))).counts.done == 1
    assert writes(site) == {}
    site.sandbox.ask("faults", {"spec": ""})
    site.sandbox.ask("policy", {"roles": LEAST})
    site.sandbox.ask("tokens", {"action": "revoke"})
    await site.desk.gates.reopen("contoso")
    await site.desk.gates.reopen("contoso+disable")
    assert (await site.ended(job)).counts == Counts(rows=25, done=25)


async def test_without_p2_nobody_is_eligible(site: Site) -> None:
    """The list that such a tenant does not have saves nobody."""
    site.sandbox.ask("policy", {"p2": False})
    emails = add(site, 3)
    site.start_worker()
    view = await site.ended(await site.load(emails, operation="disable"))
    assert view.counts == Counts(rows=3, done=3)
    site.sandbox.ask("policy", {"p2": True})


async def test_the_guard_is_read_once_a_job(site: Site) -> None:
    """Whatever the number of chunks."""
    emails = add(site, 250)
    site.start_worker()
    await site.ended(await site.load(emails, operation="disable"))
    items = site.sandbox.ask("stats")["items"]
    assert items["role_assignments"] == items["role_eligibilities"] == {"200": 1}


async def test_trouble_on_the_way_ends_nothing(site: Site) -> None:
    """429s, lost answers and a killed worker: every row ends once and well."""
    emails = add(site, 200)
    first = site.start_worker()
    site.sandbox.ask("faults", {"spec": "429@item@update_user=1*3,504-after@item@update_user=0.1"})
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.load(emails, operation="disable")
    await site.some(job, 20)
    kill(first)
    site.sandbox.ask("latency", {"latency": "0.05"})
    site.start_worker()
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=200, done=200)
    assert disabled(site) == set(emails)


async def memory(site: Site) -> dict[str, Any]:
    """Return whom the ledger remembers as disabled by usher, by object id."""
    found: Any = {}
    async for key in site.desk.client.scan_iter(f"{site.desk.keys.disabled('')}*"):
        found |= await site.desk.client.hgetall(key)
    return {id_.decode(): at for id_, at in found.items()}


async def test_who_was_disabled_is_remembered_until_enabled(site: Site) -> None:
    """Not whom somebody else disabled, nor whom Microsoft protects; also where the answer was lost
    with its worker; and from when a guest was disabled first.
    """
    emails = add(site, 30)
    site.sandbox.ask("users", {"action": "add", "email": "byhand@partner.example", "enabled": False})
    ids = {guest["email"]: guest["id"] for guest in site.sandbox.ask("guests?limit=5000")}
    site.sandbox.ask("faults", {"spec": "504-after@item@update_user=0.4"})
    first = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.load([*emails, "byhand@partner.example"], operation="disable")
    await site.some(job, 5)
    kill(first)
    site.sandbox.ask("latency", {"latency": "0.05"})
    site.start_worker()
    assert (await site.ended(job, 60)).counts == Counts(rows=31, done=30, already=1)
    noted = await memory(site)
    assert set(noted) == {ids[email] for email in emails}
    await site.ended(await site.load(emails, job="again", operation="disable"))
    assert await memory(site) == noted
    await site.ended(await site.load(emails[:20], job="back", operation="enable"))
    assert set(await memory(site)) == {ids[email] for email in emails[20:]}


async def test_whom_a_person_disables_while_usher_is_refused_is_not_ushers(site: Site) -> None:
    """A refused try did nothing: the guest is disabled already, and nothing is remembered of
    them, so no clean-up deletes them and no undo lets them in.
    """
    (email,) = add(site, 1)
    site.sandbox.ask("faults", {"faults": [{"fault": "429", "on": ["update_user"], "times": 1, "retry_after": "3"}]})
    site.start_worker()
    job = await site.load([email], operation="disable")

    async def refused() -> bool:
        chunk = await site.desk.client.hmget(site.desk.keys.chunk(job, 0), "st", "at")
        return chunk == [b".", b"1"]

    await site.until("a refused try", refused)
    site.sandbox.ask("users", {"action": "disable", "email": email})
    assert (await site.ended(job)).counts == Counts(rows=1, already=1)
    assert not writes(site)
    assert await memory(site) == {}
