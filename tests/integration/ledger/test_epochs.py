"""Epochs at the ledger: another server, a silence, an older state. What each lets go, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledgers import Desk, another, change_server, end_quiet, let_pass
from worker.ledger.model import Lane, Outcome, RowState
from worker.process.epochs import Epochs

AN_HOUR_MS = 3_600_000


async def test_nothing_begins_on_a_server_that_nobody_has_looked_at(desk: Desk) -> None:
    """A batch asks the server itself; one beat later, with nobody to wait for, it goes on."""
    await desk.load(40)
    mine = Epochs(desk.ledger)
    await mine.beat()
    lease = await desk.lease()
    assert (await desk.begin(lease, range(20))).rows
    await change_server(desk)
    assert (await desk.begin(lease, range(20, 40))).why == "epoch"
    assert desk.ledger.heartbeat.outdated.is_set()
    await mine.beat()
    assert len((await desk.begin(lease, range(20, 40))).rows) == 20


async def test_who_was_at_work_is_waited_for(desk: Desk) -> None:
    """Two processes were here: the first that comes in sends nothing before the second, or before
    its time is over.
    """
    await desk.load(300)
    first, second = Epochs(desk.ledger), Epochs(another(desk))
    await first.beat()
    await second.beat()
    lease = await desk.lease()
    await desk.load(10, "other")
    await change_server(desk)
    await first.beat()
    assert (await desk.begin(lease, range(20))).why == "epoch"
    assert await desk.tick() == []
    await second.beat()
    await first.beat()
    assert (await desk.begin(lease, range(20))).rows
    assert await desk.tick()
    await change_server(desk)
    await first.beat()
    await end_quiet(desk)
    await first.beat()
    assert (await desk.begin(lease, range(20, 40))).rows, "the second is dead, and what it sent is visible by now"


async def test_who_has_not_come_in_begins_nothing(desk: Desk) -> None:
    """A process that slept through it all writes its own again before it asks for work."""
    await desk.load(100)
    sleeper, other = Epochs(desk.ledger), Epochs(another(desk))
    await sleeper.beat()
    await other.beat()
    lease = await desk.lease()
    await change_server(desk)
    await other.beat()
    await end_quiet(desk)
    await other.beat()
    assert (await desk.begin(lease)).why == "epoch"
    await sleeper.beat()
    assert (await desk.begin(lease)).rows


async def test_lost_marks_and_outcomes_are_written_again(desk: Desk) -> None:
    """Of three batches the ledger forgets two: what was heard is recorded, what was not is in
    doubt, what was refused is left alone.
    """
    client: Any = desk.client
    mine = Epochs(desk.ledger)
    await mine.beat()
    job = await desk.load(100)
    lease = await desk.lease()
    kept = await desk.begin(lease)
    await desk.record(lease, kept)
    lease.letters = await desk.letters(job)
    keys = (desk.keys.job(job), desk.keys.chunk(job, 0))
    before = [await client.dump(key) for key in keys]
    heard = await desk.begin(lease)
    t = lease.ticket
    outcomes = [Outcome(row.index, RowState.DONE if row.index < 30 else RowState.PENDING) for row in heard.rows]
    await desk.ledger.record_batch(job, 0, t.connection, t.lane, heard.batch, outcomes)
    unheard = await desk.begin(lease, range(40, 60))
    assert len(unheard.rows) == 20
    for key, value in zip(keys, before, strict=True):
        await client.restore(key, 0, value, replace=True)
    await client.delete(desk.keys.leases())
    await change_server(desk)
    await mine.beat()
    assert await desk.letters(job) == "i" * 30 + "." * 10 + "d" * 20 + "." * 40
    assert await desk.field(desk.keys.job(job), "open") == "20"
    await desk.record(lease, unheard)
    assert await desk.letters(job) == "i" * 30 + "." * 10 + "i" * 20 + "." * 40
    assert await desk.field(desk.keys.job(job), "n:i") == "50"


async def test_what_was_not_lost_is_not_touched(desk: Desk) -> None:
    """The server was restarted with all it had: rows that went back meanwhile stay pending, nothing
    is counted twice.
    """
    mine = Epochs(desk.ledger)
    await mine.beat()
    job = await desk.load(40)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.PENDING)
    lease.letters = await desk.letters(job)
    grant = await desk.begin(lease, range(10))
    await desk.record(lease, grant)
    onwire = await desk.begin(lease, range(20, 25))
    before = await desk.ledger.client.hgetall(desk.keys.chunk(job, 0))
    await change_server(desk)
    await mine.beat()
    assert await desk.ledger.client.hgetall(desk.keys.chunk(job, 0)) == before
    await desk.record(lease, onwire)
    assert await desk.field(desk.keys.job(job), "n:i") == "15"


async def test_a_mark_is_written_again_whatever_its_attempt(desk: Desk) -> None:
    """Attempts are kept as a digit, so the tenth looks like the ninth: its mark, lost in a
    failover, comes back all the same.
    """
    client: Any = desk.client
    mine = Epochs(desk.ledger)
    await mine.beat()
    job = await desk.load(5)
    lease = await desk.lease()
    key = desk.keys.chunk(job, 0)
    await client.hset(key, "at", "99999")
    before = await client.dump(key)
    assert len((await desk.begin(lease)).rows) == 5
    await client.restore(key, 0, before, replace=True)
    await client.delete(desk.keys.leases())
    await change_server(desk)
    await mine.beat()
    assert await desk.letters(job) == "ddddd"


async def test_no_fence_is_given_out_twice(desk: Desk) -> None:
    """Those of the lost moments may still be held by somebody."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    await desk.load(10)
    await desk.load(10, "other")
    last = max(ticket.fence for ticket in await desk.tick())
    await desk.load(10, "third")
    await change_server(desk)
    await mine.beat()
    assert min(ticket.fence for ticket in await desk.tick("w2", 16)) > last + 1000


async def test_jobs_from_before_are_looked_up_first(desk: Desk) -> None:
    """Rows of theirs may have left without a trace; a job that is made on the new server has
    none.
    """
    mine = Epochs(desk.ledger)
    await mine.beat()
    await desk.load(10)
    lease = await desk.lease()
    assert not lease.suspect
    await desk.ledger.mark_checked(lease)
    await desk.ledger.release(lease)
    lease = await desk.lease()
    assert lease.checked_at_ms
    await desk.ledger.release(lease)
    await change_server(desk)
    await mine.beat()
    lease = await desk.lease()
    assert (lease.suspect, lease.checked_at_ms) == (True, 0)
    await desk.ledger.mark_checked(lease)
    await desk.load(10, job="new")
    assert not (await desk.lease()).suspect


@pytest.mark.parametrize("granted", [True, False])
async def test_that_rows_were_looked_up_is_noted_with_the_next_batch(desk: Desk, granted: bool) -> None:
    """Whether or not it may begin; what was seen before the server changed is not."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    await desk.load(60)
    lease = await desk.lease()
    lease.checked_in = desk.ledger.heartbeat.epoch
    assert bool((await desk.begin(lease, range(20) if granted else [])).rows) is granted
    await desk.ledger.release(lease)
    lease = await desk.lease()
    assert lease.checked_at_ms
    lease.checked_in = desk.ledger.heartbeat.epoch
    await change_server(desk)
    await mine.beat()
    assert (await desk.begin(lease, range(20, 40))).rows
    await desk.ledger.release(lease)
    assert (await desk.lease()).checked_at_ms == 0


async def test_after_a_silence_no_row_is_given_up_before_all_are_back(desk: Desk) -> None:
    """Redis was frozen: whoever heard an answer meanwhile brings it first. Sending need not wait,
    for no mark was lost.
    """
    second_ledger = another(desk)
    first, second = Epochs(desk.ledger), Epochs(second_ledger)
    await first.beat()
    await second.beat()
    job = await desk.load(40)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease, [0]), RowState.IN_DOUBT)
    await desk.settle_now()
    await let_pass(desk, 60_000, second_ledger)
    assert await desk.ledger.doubts.claim("contoso", 10) is None
    await first.beat()
    assert await desk.ledger.doubts.claim("contoso", 10) is None
    assert (await desk.begin(lease, [1])).rows
    await second.beat()
    await first.beat()
    (doubt,) = await desk.doubts("contoso", 10)
    assert (doubt.job, doubt.index) == (job, 0)


async def test_a_batch_number_is_never_used_twice_in_a_chunk(desk: Desk) -> None:
    """An answer to a batch that the ledger lost finds no other one of its number, so it takes
    nothing off the wire.
    """
    client: Any = desk.client
    job = await desk.load(40)
    lease = await desk.lease()
    key = desk.keys.chunk(job, 0)
    before = await client.dump(key)
    lost = await desk.begin(lease, range(20))
    await client.restore(key, 0, before, replace=True)
    await desk.make_past(desk.keys.leases())
    other = await desk.lease()
    grant = await desk.begin(other, range(20))
    outcomes = [Outcome(row.index, RowState.PENDING) for row in lost.rows]
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, lost.batch, outcomes)
    assert (await desk.letters(job))[:20] == "s" * 20
    assert grant.batch != lost.batch


async def test_nothing_is_claimed_while_others_are_waited_for(desk: Desk) -> None:
    """A look-up would find those whose invitation is not written again yet, and take them for
    guests of before.
    """
    await desk.load(10)
    first, second = Epochs(desk.ledger), Epochs(another(desk))
    await first.beat()
    await second.beat()
    (offer,) = await desk.tick()
    await change_server(desk)
    assert await desk.ledger.claim(offer) is None
    assert await desk.tick() == []
    await first.beat()
    assert await desk.tick() == []
    await second.beat()
    await first.beat()
    assert (await desk.lease()).ticket != offer


async def test_a_second_failover_waits_for_those_of_the_first(desk: Desk) -> None:
    """One that had not come in yet when it happened is not forgotten."""
    await desk.load(100)
    first, second = Epochs(desk.ledger), Epochs(another(desk))
    await first.beat()
    await second.beat()
    lease = await desk.lease()
    for _ in range(2):
        await change_server(desk)
        await first.beat()
    assert (await desk.begin(lease)).why == "epoch"
    await second.beat()
    await first.beat()
    assert (await desk.begin(lease)).rows
