"""Rows in doubt, and what was lost: the scripts that settle and `heal` on a real server."""

from __future__ import annotations

from tests.ledgers import Desk
from worker.ledger.gates import HoldReason
from worker.ledger.model import Lane, Outcome, RowState

# Rows in doubt


async def test_a_row_in_doubt_is_offered_for_a_look_up_when_its_time_has_come(desk: Desk) -> None:
    """Before chunks, one look-up a connection, and not before its time."""
    job = await desk.load(200)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    t = lease.ticket
    outcomes = [Outcome(row.index, RowState.IN_DOUBT, wait_s=30) for row in grant.rows]
    await desk.ledger.record_batch(t.job, t.chunk, t.connection, t.lane, grant.batch, outcomes)
    assert Lane.DOUBT not in {ticket.lane for ticket in await desk.tick("w1", 16)}
    assert await desk.doubts("contoso", 100) == []
    await desk.settle_now()
    (ticket,) = await desk.tick("w1", 16)
    assert ticket.lane is Lane.DOUBT
    assert await desk.ledger.claim(ticket) is not None
    doubtful = await desk.doubts("contoso", 100)
    assert {(row.job, row.chunk, row.attempted_at_ms) for row in doubtful} == {(job, 0, grant.begun_at_ms)}
    assert len(doubtful) == 20


async def test_a_row_found_absent_is_sent_again_also_when_its_chunk_was_over(desk: Desk) -> None:
    """The chunk comes back among those to be offered, once."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    await desk.record(lease, grant, RowState.IN_DOUBT)
    await desk.ledger.release(lease)
    assert await desk.tick() == []
    await desk.settle_now()
    for row in await desk.doubts("contoso", 100):
        outcome = Outcome(row.index, RowState.PENDING, attempted_at_ms=row.attempted_at_ms)
        await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [outcome])
    await desk.ledger.doubts.end_look_up("contoso")
    again = await desk.lease()
    assert again.pending() == [0, 1]
    assert {row.attempt for row in (await desk.begin(again)).rows} == {2}


async def test_a_slow_look_up_says_nothing_about_a_later_attempt(desk: Desk) -> None:
    """Two look-ups at once: the slower one's "absent" is about an attempt that is resolved; the
    next one is in doubt again.
    """
    job = await desk.load(1)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.IN_DOUBT)
    await desk.settle_now()
    (slow,) = await desk.doubts("contoso", 10)
    absent = Outcome(0, RowState.PENDING, attempted_at_ms=slow.attempted_at_ms)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [absent])
    grant = await desk.begin(lease, [0])
    while grant.begun_at_ms == slow.attempted_at_ms:  # within one millisecond: not in this life, but in a test
        await desk.record(lease, grant, RowState.PENDING)
        grant = await desk.begin(lease, [0])
    await desk.record(lease, grant, RowState.IN_DOUBT)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [absent])
    assert await desk.letters(job) == "d"


async def test_nobody_knows_is_only_said_of_a_row_in_doubt(desk: Desk) -> None:
    """A row that was sent again meanwhile waits for its own answer."""
    job = await desk.load(1)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    unknown = Outcome(0, RowState.LEFT_IN_DOUBT, attempted_at_ms=grant.begun_at_ms)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [unknown])
    assert await desk.letters(job) == "s"
    await desk.record(lease, grant, RowState.IN_DOUBT)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [unknown])
    assert await desk.letters(job) == "u"


async def test_a_look_up_that_dies_is_made_again(desk: Desk) -> None:
    """Its rows stay due: nobody has to end it for another to follow."""
    await desk.load(1)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.IN_DOUBT)
    await desk.settle_now()
    (ticket,) = await desk.tick()
    assert await desk.ledger.claim(ticket)
    await desk.make_past(desk.keys.leases())
    await desk.settle_now()
    (again,) = await desk.tick()
    assert (again.lane, again.fence != ticket.fence) == (Lane.DOUBT, True)


# heal


async def test_healing_finds_what_was_lost_and_is_done_once_for_all(desk: Desk) -> None:
    """A connection that stands in no list is found, counts are those of the tickets again; a second
    heal is too soon.
    """
    await desk.load(1, "lost")
    await desk.load(1, "held")
    await desk.gates.hold("held", HoldReason.OPERATOR, "because")
    (ticket,) = await desk.tick()
    await desk.make_past(desk.keys.offers())
    await desk.tick("w1", 0)
    c = desk.ledger.client
    await c.delete(desk.keys.due(), desk.keys.due_now())
    await c.hset(desk.keys.seats_of(), mapping={"lost": 7, "gone": 3})
    await c.hset(desk.keys.offered_of(), "lost", 7)
    assert await desk.tick() == []
    assert await desk.ledger.offers.heal() == 4
    assert await desk.ledger.offers.heal() is None
    assert await c.exists(desk.keys.seats_of()) == 0
    assert await c.zrange(desk.keys.due(), 0, -1) == [b"lost"]
    assert [t.connection for t in await desk.tick()] == [ticket.connection] == ["lost"]


async def test_healing_finds_rows_in_doubt_that_nobody_would_look_up(desk: Desk) -> None:
    """Their connection is due again."""
    await desk.load(1)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.IN_DOUBT)
    await desk.ledger.client.delete(desk.keys.due_doubts())
    assert await desk.ledger.offers.heal() == 1
    await desk.settle_now()
    assert [t.lane for t in await desk.tick()] == [Lane.DOUBT]


async def test_healing_brings_times_of_a_clock_put_back_into_reach(desk: Desk) -> None:
    """A lease or an offer that would end in a year ends when it would have been made now."""
    await desk.load(1, "a")
    await desk.load(1, "b")
    offered = await desk.tick("w1", 16)
    assert await desk.ledger.claim(offered[0])
    c, k = desk.ledger.client, desk.keys
    for zset in (k.leases(), k.offers()):
        for member in await c.zrange(zset, 0, -1):
            await c.zadd(zset, {member: 99_999_999_999_999})
    assert await desk.ledger.offers.heal() == 2
    tick = await desk.ledger.offers.tick("w1", 16)
    assert tick.next_s is not None
    assert tick.next_s <= 15
