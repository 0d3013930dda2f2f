"""Who is offered what, and who may claim it: the scripts `tick`, `claim` and `offer` on a real
server.
"""

from __future__ import annotations

from tests.ledgers import Desk
from worker.ledger.gates import HoldReason
from worker.ledger.model import Lane, Ticket
from worker.ledger.quota import Bucket

# tick


async def test_a_tick_offers_a_chunk_and_counts_its_seat(desk: Desk) -> None:
    """An offer takes a seat of its connection, and its ticket names job, chunk, connection and
    lane.
    """
    job = await desk.load(3)
    (ticket,) = await desk.tick()
    assert (ticket.job, ticket.chunk, ticket.connection, ticket.lane) == (job, 0, "contoso", Lane.BULK)
    assert await desk.field(desk.keys.seats_of(), "contoso") == "1"
    assert await desk.tick() == []


async def test_bulk_work_leaves_a_seat_a_worker_and_interactive_work_takes_it(desk: Desk) -> None:
    """Two workers with two seats each: two chunks of bulk work, then two of interactive work, then
    none.
    """
    for connection in ("a", "b", "c", "d"):
        await desk.load(1, connection)
    await desk.tick("w2", 2)
    first = await desk.tick("w1", 2)
    offered = [*first]
    assert len(await desk.ledger.client.zrange(desk.keys.offers(), 0, -1)) == 2
    for connection in ("a", "b", "c"):
        await desk.load(1, connection, lane=Lane.NOW)
    offered = await desk.tick("w1", 2)
    assert [ticket.lane for ticket in offered] == [Lane.NOW, Lane.NOW]
    assert await desk.tick("w1", 2) == []


async def test_a_single_worker_with_a_single_seat_does_bulk_work(desk: Desk) -> None:
    """Where a worker has one seat only, it is not kept for interactive work for ever."""
    await desk.load(1)
    assert len(await desk.tick("w1", 1)) == 1


async def test_many_workers_do_not_starve_bulk_work(desk: Desk) -> None:
    """The seats kept for interactive work are counted against all seats, not against what one tick
    may offer.
    """
    for number in range(80):
        await desk.ledger.offers.tick(f"w{number}", 4)
    await desk.load(1)
    assert len(await desk.tick("w0", 4)) == 1


async def test_no_connection_has_more_than_a_quarter_of_the_seats(desk: Desk) -> None:
    """Of 16 seats one connection gets 4, the others get theirs in the same tick; a chunk that ends
    makes room at once.
    """
    await desk.load(1000, "greedy")
    await desk.load(100, "modest")
    offered = await desk.tick("w1", 16)
    assert sorted(ticket.connection for ticket in offered) == ["greedy"] * 4 + ["modest"]
    assert await desk.tick("w1", 16) == []
    lease = await desk.ledger.claim(next(ticket for ticket in offered if ticket.connection == "greedy"))
    assert lease
    for start in range(0, 100, 20):
        await desk.record(lease, await desk.begin(lease, range(start, start + 20)))
    await desk.ledger.release(lease)
    assert [ticket.connection for ticket in await desk.tick("w1", 16)] == ["greedy"]


async def test_however_many_connections_are_slow_a_seat_is_free(desk: Desk) -> None:
    """Each further one gets a part of what is left: those that hold what they have leave room for
    one that comes later.
    """
    for number in range(6):
        await desk.load(2000, f"slow{number}")
        for ticket in await desk.tick("w1", 64):
            assert await desk.ledger.claim(ticket)
    held = [int(n) for n in await desk.ledger.client.hvals(desk.keys.seats_of())]
    assert max(held) == 16
    assert 64 - sum(held) > 8
    await desk.load(1, "late")
    assert "late" in [ticket.connection for ticket in await desk.tick("w1", 64)]


async def test_a_single_guest_is_offered_beside_the_chunks_of_a_list(desk: Desk) -> None:
    """What is spare is told for lists; a single guest does not wait until they have used it up."""
    desk.buckets = [Bucket("b", 45, 3_600_000)]
    await desk.load(300)
    lease = await desk.lease()
    assert (await desk.begin(lease)).rows
    assert len(await desk.tick()) <= 1
    single = await desk.load(1, lane=Lane.NOW)
    assert single in [ticket.job for ticket in await desk.tick()]


async def test_jobs_of_one_connection_take_turns(desk: Desk) -> None:
    """Two jobs of one connection: their chunks alternate."""
    first, second = await desk.load(300), await desk.load(300)
    offered = await desk.tick("w1", 16)
    assert [ticket.job for ticket in offered] == [first, second, first, second]


async def test_where_no_seat_is_free_the_next_tick_can_wait(desk: Desk) -> None:
    """Waiting connections do not make every worker tick as fast as it can while all seats are in
    use.
    """
    for connection in ("a", "b", "c", "d", "e"):
        await desk.load(1, connection)
    tick = await desk.ledger.offers.tick("w1", 3)
    assert len(tick.offers) == 2  # the third seat is kept
    assert tick.next_s is not None
    assert tick.next_s > 10  # until an offer is void


async def test_an_offer_nobody_claims_is_made_again_with_a_new_fence(desk: Desk) -> None:
    """The old ticket is void for good, also when its message comes late."""
    await desk.load(1)
    (first,) = await desk.tick()
    await desk.make_past(desk.keys.offers())
    (second,) = await desk.tick()
    assert (first.job, first.chunk) == (second.job, second.chunk)
    assert first.fence != second.fence
    assert await desk.ledger.claim(first) is None
    assert await desk.ledger.claim(second) is not None


async def test_a_worker_that_leaves_takes_its_seats_along(desk: Desk) -> None:
    """A tick with no seats, or silence, ends a worker's seats."""
    await desk.ledger.offers.tick("w1", 8)
    await desk.ledger.offers.tick("w2", 8)
    await desk.ledger.offers.tick("w1", 0)
    await desk.ledger.client.zadd(desk.keys.workers(), {"w2": 1})
    await desk.ledger.offers.tick("w3", 2)
    assert await desk.ledger.client.hgetall(desk.keys.worker_seats()) == {b"w3": b"2"}


async def test_a_throttled_connection_is_not_offered_before_its_time(desk: Desk) -> None:
    """Its chunks take no seat while its gate is closed; the others run."""
    await desk.load(1)
    await desk.ledger.spending.throttled("contoso", desk.buckets, 30, "429")
    await desk.load(1, "other")
    tick = await desk.ledger.offers.tick("w1", 8)
    assert [ticket.connection for ticket, _ in tick.offers] == ["other"]


async def test_a_held_connection_is_not_offered_and_a_half_open_one_once(desk: Desk) -> None:
    """Held for good: nothing. With a time to try: one chunk when it has come."""
    await desk.load(300)
    await desk.gates.hold("contoso", HoldReason.OPERATOR, "because")
    assert await desk.tick("w1", 16) == []
    await desk.gates.reopen("contoso")
    await desk.gates.hold("contoso", HoldReason.PERMISSION, "because", try_s=30)
    assert await desk.tick("w1", 16) == []
    await desk.ledger.client.hset(desk.keys.connection("contoso"), "probe_at", 1)
    await desk.make_past(desk.keys.due())
    assert len(await desk.tick("w1", 16)) == 1


async def test_when_everything_is_held_nothing_is_offered_until_it_is_reopened(desk: Desk) -> None:
    """`hold --all` covers connections that come later too, and outlives ticks."""
    await desk.gates.hold_everything("an exercise")
    await desk.load(1)
    assert await desk.tick() == []
    await desk.gates.reopen_everything()
    assert len(await desk.tick()) == 1


# claim


async def test_a_ticket_is_claimed_once(desk: Desk) -> None:
    """A message delivered twice finds its ticket spent, while it runs and afterwards."""
    await desk.load(2)
    (ticket,) = await desk.tick()
    lease = await desk.ledger.claim(ticket)
    assert lease
    assert await desk.ledger.claim(ticket) is None
    await desk.ledger.release(lease)
    assert await desk.ledger.claim(ticket) is None


async def test_a_claim_brings_all_that_is_needed(desk: Desk) -> None:
    """The rows with their numbers, states and attempts come with the claim."""
    job = await desk.load(150, ended=[102])
    _, second = await desk.tick()
    lease = await desk.ledger.claim(second)
    assert lease
    assert (lease.ticket.job, lease.base, lease.chunks, len(lease.rows)) == (job, 101, 2, 50)
    assert lease.letters == ".f" + "." * 48
    assert lease.rows[0] == {"email": f"{job}-101@example.com"}
    assert 1 not in lease.pending()


async def test_a_job_paused_between_offer_and_claim_runs_nothing(desk: Desk) -> None:
    """The chunk goes back and is offered again after a resume."""
    job = await desk.load(1)
    (ticket,) = await desk.tick()
    await desk.jobs.pause(job, "a test")
    assert await desk.ledger.claim(ticket) is None
    assert await desk.tick() == []
    await desk.jobs.resume(job)
    assert len(await desk.tick()) == 1


# offer


async def test_a_producer_may_take_its_own_chunk_past_the_dispatcher(desk: Desk) -> None:
    """Once: either the producer has it or a tick, never both."""
    job = await desk.load(1, lane=Lane.NOW)
    ticket = await desk.ledger.offers.make(job, 0, "contoso", Lane.NOW)
    assert isinstance(ticket, Ticket)
    assert await desk.tick() == []
    assert await desk.ledger.offers.make(job, 0, "contoso", Lane.NOW) is None
    lease = await desk.ledger.claim(ticket)
    assert lease
    await desk.ledger.release(lease)
    assert len(await desk.tick()) == 1
    assert await desk.ledger.offers.make(job, 0, "contoso", Lane.NOW) is None
