"""Guests who are there are reminded and reset on a real worker: each of them once, nobody who has
accepted, nobody before the time, whatever answer is lost.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.sandboxes import Sandbox
from tests.sites import Site, open_site
from worker.ledger.model import Counts

GUARD = ("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All")
ROLES = ("User.Invite.All", "User.ReadWrite.All", *GUARD)
LONG_AGO = "2024-03-01T12:00:00Z"
PENDING, ACCEPTED = "PendingAcceptance", "Accepted"


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may remind and reset."""
    async with open_site(
        valkey_url, sandbox, latency="0.01", replication="0", roles=ROLES, settle_s=2, timeout_s=1
    ) as site:
        yield site


def add(site: Site, count: int, state: str, name: str = "p") -> list[str]:
    """Let the tenant have guests; returns their addresses."""
    emails = [f"{name}{n}@partner.example" for n in range(count)]
    for email in emails:
        told = {"created_at": LONG_AGO, "state_changed_at": LONG_AGO}
        site.sandbox.ask("users", {"action": "add", "email": email, "state": state, **told})
    return emails


async def submit(site: Site, operation: str, job: str, emails: Sequence[str]) -> str:
    """Submit a job of an operation; returns its id."""
    rows = [ValidRow(n, n, {"email": email}) for n, email in enumerate(emails, 1)]
    connection = load_settings(site.env).connection("contoso")
    loaded = await load(site.desk.jobs, connection, rows, job=job, operation=operation)
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    return job


def shown(site: Site, email: str) -> dict[str, Any]:
    """Return a guest as the sandbox knows them."""
    (found,) = site.sandbox.ask(f"guests?address={email}")
    return dict(found)


def mails(site: Site, emails: Sequence[str]) -> list[int]:
    """Return how many mails each of some guests got."""
    return [shown(site, email)["mails"] for email in emails]


async def codes(site: Site, job: str) -> Counter[str]:
    """Return why rows of a job ended as they did."""
    return Counter(row["error_code"] for row in await site.results(job))


async def test_only_pending_guests_are_reminded_and_not_again_before_the_time(site: Site) -> None:
    """Who has accepted, who is reminded already, and who is a member gets no mail."""
    pending, accepted = add(site, 30, PENDING), add(site, 10, ACCEPTED, "a")
    site.sandbox.ask("users", {"action": "add", "email": "m@contoso.example", "user_type": "Member"})
    site.start_worker()
    given = [*pending, *accepted, "m@contoso.example", "nobody@partner.example"]
    view = await site.ended(await submit(site, "remind", "one", given))
    assert view.counts == Counts(rows=42, done=30, skipped=10, failed=2)
    assert await codes(site, "one") == {"": 30, "accepted": 10, "own_member": 1, "not_there": 1}
    assert (mails(site, pending), mails(site, accepted)) == ([1] * 30, [0] * 10)
    site.sandbox.ask("users", {"action": "accept", "email": pending[0]})
    view = await site.ended(await submit(site, "remind", "two", pending))
    assert view.counts == Counts(rows=30, skipped=30)
    assert await codes(site, "two") == {"reminded_before": 29, "accepted": 1}
    assert mails(site, pending) == [1] * 30


async def test_a_guest_with_two_addresses_is_reminded_once(site: Site) -> None:
    """Whichever of them the rows of one job, or of the next, have."""
    (email,), other = add(site, 1, PENDING), "second@partner.example"
    site.sandbox.ask("users", {"action": "change", "email": email, "other_mails": [other]})
    site.start_worker()
    view = await site.ended(await submit(site, "remind", "one", [email, other]))
    assert view.counts == Counts(rows=2, done=1, skipped=1)
    assert await codes(site, "one") == {"": 1, "reminded_before": 1}
    view = await site.ended(await submit(site, "remind", "two", [other]))
    assert view.counts == Counts(rows=1, skipped=1)
    assert site.sandbox.ask("stats")["mails"]["total"] == 1


async def test_three_days_later_a_guest_is_reminded_again_three_times_in_all(site: Site) -> None:
    """What the ledger remembers is made older here by so much."""
    (email,) = add(site, 1, PENDING)
    site.start_worker()
    for number, expected in enumerate((1, 2, 3, 3)):
        view = await site.ended(await submit(site, "remind", f"job{number}", [email]))
        assert (view.counts.done, mails(site, [email])) == (int(number < 3), [expected])
        (key,) = [key async for key in site.desk.client.scan_iter(f"{site.desk.keys.prefix}:*:reminded")]
        notes: Any = await site.desk.client.hgetall(key)
        ((guest, note),) = notes.items()
        count, at, *rest = note.decode().split(":")
        assert int(count) == expected
        older = ":".join((count, str(int(at) - 3 * 86_400_000), *rest))
        await site.desk.client.hset(key, guest, older)
    assert "reminded 3 times" in (await site.results("job3"))[0]["error_message"]


async def test_a_lost_answer_is_no_second_reminder(site: Site) -> None:
    """The reminder went out; nobody can see it, so the row stays in doubt, for all jobs."""
    pending = add(site, 20, PENDING)
    site.sandbox.ask("faults", {"spec": "504-after@item@invite=1*3"})
    site.start_worker()
    view = await site.ended(await submit(site, "remind", "one", pending))
    assert view.counts == Counts(rows=20, done=17, in_doubt=3)
    assert mails(site, pending) == [1] * 20
    view = await site.ended(await submit(site, "remind", "two", pending))
    assert (view.counts.skipped, mails(site, pending)) == (20, [1] * 20)


async def test_a_reminder_that_was_refused_does_not_count(site: Site) -> None:
    """Throttled it goes on by its own note; refused, the next job may remind."""
    pending = add(site, 5, PENDING)
    site.sandbox.ask("faults", {"spec": "429@item@invite=1*2,error@item@invite=1*2"})
    site.start_worker()
    view = await site.ended(await submit(site, "remind", "one", pending))
    assert view.counts == Counts(rows=5, done=3, failed=2), await codes(site, "one")
    view = await site.ended(await submit(site, "remind", "two", pending))
    assert view.counts == Counts(rows=5, done=2, skipped=3)
    assert mails(site, pending) == [1] * 5


async def test_a_reset_is_looked_up_where_its_answer_was_lost(site: Site) -> None:
    """Who had accepted is pending now: it was done, and is not done twice."""
    accepted = add(site, 20, ACCEPTED)
    ids = [shown(site, email)["id"] for email in accepted]
    site.sandbox.ask("faults", {"spec": "504-after@item@invite=1*3,504-before@item@invite=1*2"})
    site.start_worker()
    view = await site.ended(await submit(site, "reset", "one", accepted), 40)
    assert view.counts == Counts(rows=20, done=20)
    found = [shown(site, email) for email in accepted]
    assert [(one["state"], one["mails"], one["id"]) for one in found] == [(PENDING, 1, id_) for id_ in ids]


async def test_a_reset_of_an_open_invitation_stays_in_doubt(site: Site) -> None:
    """Nobody sees whether it was made, so it is not made twice."""
    pending = add(site, 3, PENDING)
    site.sandbox.ask("faults", {"spec": "504-after@item@invite=1*1"})
    site.start_worker()
    view = await site.ended(await submit(site, "reset", "one", pending), 40)
    assert view.counts == Counts(rows=3, done=2, in_doubt=1)
    assert mails(site, pending) == [1] * 3


async def test_what_cannot_be_reset_ends_its_row(site: Site) -> None:
    """Whoever holds or may take a role is not asked for; what Graph refuses is about the row, in
    whatever words, and holds nobody.
    """
    accepted = add(site, 6, ACCEPTED)
    for email, role in ((accepted[0], "assigned"), (accepted[1], "eligible")):
        site.sandbox.ask("users", {"action": "role", "email": email, "role": role})
    words = ("Guest invitations not allowed for your company.", "Generic authorization exception.")
    refused = {"fault": "error", "on": ["item", "invite"], "status": 403, "code": "Forbidden", "times": 1}
    site.sandbox.ask("faults", {"faults": [refused | {"message": text} for text in words]})
    site.start_worker()
    view = await site.ended(await submit(site, "reset", "one", accepted), 40)
    assert view.counts == Counts(rows=6, done=2, failed=4)
    assert await codes(site, "one") == {"role_holder": 2, "Forbidden": 2, "": 2}
    assert sum(mails(site, accepted)) == 2
    assert not (await site.desk.gates.of("contoso+reset")).held


async def test_the_commands_make_such_jobs(site: Site) -> None:
    """With a ceiling, a dry run and JSON; a retry repeats the operation and invites nobody."""
    pending, accepted = add(site, 4, PENDING), add(site, 3, ACCEPTED, "a")
    site.start_worker()
    everybody = [*pending, *accepted]

    async def usher(*words: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(site.run, "guests", *words)

    status, out, err = await usher("remind", *everybody, "-c", "contoso", "--yes", "--json", "--most", "3")
    assert (status, "4 reminders, and --most allows 3: nothing was done" in err) == (3, True), err
    assert json.loads(out.splitlines()[-1])["ceilings"] == ["most"]
    status, out, err = await usher("remind", *everybody, "-c", "contoso", "--dry-run", "--json")
    assert status == 0, out + err
    told = json.loads(out.splitlines()[-1])
    assert (status, told["plan"]["would"]) == (0, {"remind": 4, "skip": 3, "refuse": 0})
    assert mails(site, everybody) == [0] * 7
    status, out, _ = await usher("remind", *everybody, "-c", "contoso", "--yes", "--json", "--most", "4")
    told = json.loads(out.splitlines()[-1])
    assert (status, told["operation"], told["done"], told["skipped"]) == (0, "remind", 4, 3)
    status, out, _ = await usher("reset", accepted[0], "nobody@partner.example", "-c", "contoso", "--yes", "--json")
    told = json.loads(out.splitlines()[-1])
    assert (status, told["operation"], told["done"], told["failed"]) == (1, "reset", 1, 1)
    status, out, _ = await asyncio.to_thread(site.run, "jobs", "retry", told["job"], "--yes", "--json")
    told = json.loads(out.splitlines()[-1])
    assert (status, told["operation"], told["failed"]) == (1, "reset", 1)
    assert site.sandbox.ask("guests?address=nobody@partner.example") == []
