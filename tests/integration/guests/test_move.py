"""Guests are given another address and reset by a real worker: both once, whatever is killed
between the two, and never to somebody else's address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from tests.staged import writes
from worker.ledger.model import Counts

GUARD = ("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All")
ROLES = ("User.Invite.All", "User.ReadWrite.All", *GUARD)
LONG_AGO = "2024-03-01T12:00:00Z"


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may move guests."""
    async with open_site(
        valkey_url, sandbox, latency="0.01", replication="0", roles=ROLES, settle_s=2, timeout_s=1
    ) as site:
        yield site


def add(site: Site, count: int, state: str = "Accepted") -> list[str]:
    """Let the tenant have guests; returns their addresses."""
    emails = [f"m{n}@old.example" for n in range(count)]
    told = {"state": state, "created_at": LONG_AGO, "state_changed_at": LONG_AGO}
    site.sandbox.ask("users", {"action": "add", "users": [{"email": email, **told} for email in emails]})
    return emails


def new(email: str) -> str:
    """Return the address that a guest is to have."""
    return email.replace("@old.", "@new.")


async def submit(site: Site, job: str, moves: Mapping[str, str]) -> str:
    """Submit a list of moves; returns the job's id."""
    rows = [ValidRow(n, n, {"email": old, "new_email": to}) for n, (old, to) in enumerate(moves.items(), 1)]
    connection = load_settings(site.env).connection("contoso")
    loaded = await load(site.desk.jobs, connection, rows, job=job, operation="move")
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    return job


def shown(site: Site, emails: Sequence[str]) -> dict[str, Any]:
    """Return guests as the sandbox knows them, by the address that was given."""
    found = {}
    for email in emails:
        (found[email],) = site.sandbox.ask(f"guests?address={email}")
    return found


def assert_moved(site: Site, emails: Sequence[str], ids: Mapping[str, str]) -> None:
    """Check that each guest has the new address and the id of before, was reset once, and is
    mailed once at the new address.
    """
    for email, guest in shown(site, [new(email) for email in emails]).items():
        assert (guest["state"], guest["mails"], guest["email"]) == ("PendingAcceptance", 1, email)
    assert {email: guest["id"] for email, guest in shown(site, emails).items()} == ids
    told = {mail["to"] for mail in site.sandbox.ask("mails")}
    assert told == {new(email) for email in emails}


async def until_written(site: Site, least: int) -> None:
    """Wait until so many addresses are written, and see that nobody was reset yet."""

    async def look() -> bool:
        return writes(site, "update_user") >= least

    await site.until("addresses that are written", look)


async def test_a_worker_killed_between_the_two_changes_nothing(site: Site) -> None:
    """The guests keep id and groups; each address is written and each guest reset, once."""
    emails = add(site, 40)
    ids = {email: guest["id"] for email, guest in shown(site, emails).items()}
    site.sandbox.ask("groups", {"action": "change", "groups": [{"name": "Partners", "members": emails}]})
    first = site.start_worker()
    job = await submit(site, "one", {email: new(email) for email in emails})
    await until_written(site, 20)
    kill(first)
    assert writes(site, "invite") == 0
    site.start_worker()
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=40, done=40)
    assert_moved(site, emails, ids)
    assert len(site.sandbox.ask("groups?name=Partners")[0]["members"]) == 40
    view = await site.ended(await submit(site, "two", {email: new(email) for email in emails}))
    assert view.counts == Counts(rows=40, skipped=40)
    assert writes(site, "invite") == 40


async def test_the_list_given_again_finishes_what_was_left(site: Site) -> None:
    """The first job never goes on: the second resets whom it had written only. Resumed later, the
    first resets nobody again.
    """
    emails = add(site, 20)
    ids = {email: guest["id"] for email, guest in shown(site, emails).items()}
    moves = {email: new(email) for email in emails}
    first = site.start_worker()
    await submit(site, "one", moves)
    await until_written(site, 20)
    kill(first)
    assert writes(site, "invite") == 0
    await site.desk.jobs.pause("one", "a test")
    site.start_worker()
    view = await site.ended(await submit(site, "two", moves), 60)
    assert view.counts == Counts(rows=20, done=20)
    assert_moved(site, emails, ids)
    await site.desk.jobs.resume("one")
    view = await site.ended("one", 60)
    assert (view.counts.done + view.counts.skipped, view.counts.failed) == (20, 0)
    assert_moved(site, emails, ids)
    assert writes(site, "invite") == 20


async def test_what_cannot_be_moved_says_why(site: Site) -> None:
    """Whoever holds a role, is not there, is a member, or would get somebody else's address; a
    reset that is refused. No connection is held, and the others go on.
    """
    emails = add(site, 6)
    site.sandbox.ask("users", {"action": "role", "email": emails[0], "role": "assigned"})
    site.sandbox.ask("users", {"action": "add", "email": "taken@new.example"})
    moves = {email: new(email) for email in emails}
    moves |= {
        emails[1]: "taken@new.example",
        "nobody@old.example": "n@new.example",
        "ada@contoso.example": "a@b.example",
    }
    refused = {"fault": "error", "on": ["item", "invite"], "status": 403, "code": "Forbidden", "times": 1}
    site.sandbox.ask("faults", {"faults": [refused | {"message": "Guest invitations not allowed for your company."}]})
    site.start_worker()
    view = await site.ended(await submit(site, "one", moves), 40)
    assert view.counts == Counts(rows=8, done=3, failed=5)
    rows = await site.results("one")
    codes = {row["email"]: row["error_code"] for row in rows}
    assert (codes[emails[0]], codes[emails[1]]) == ("role_holder", "address_in_use")
    assert (codes["nobody@old.example"], codes["ada@contoso.example"]) == ("not_there", "own_member")
    (half,) = [row["error_message"] for row in rows if row["error_code"] == "Forbidden"]
    assert half.startswith("The guest has the new address now")
    site.sandbox.ask("faults", {"spec": ""})
    view = await site.ended(await submit(site, "two", moves), 40)
    assert view.counts == Counts(rows=8, done=1, skipped=3, failed=4)
