"""What each script of the ledger promises, on a real server. Orders of events nobody thinks of: tests/property/test_ledger_machine.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.ledgers import Desk, open_desk
from worker.gates import HoldReason
from worker.model import Grant, JobState, Lane, Outcome, RowState, Ticket
from worker.quota import Bucket
from worker.seal import Sealer

# tick


async def test_a_tick_offers_a_chunk_and_counts_its_seat(desk: Desk) -> None:
    """An offer takes a seat of its connection, and its ticket names job, chunk, connection and lane."""
    job = await desk.load(3)
    (ticket,) = await desk.tick()
    assert (ticket.job, ticket.chunk, ticket.connection, ticket.lane) == (job, 0, "contoso", Lane.BULK)
    assert await desk.field(desk.keys.seats_of(), "contoso") == "1"
    assert await desk.tick() == []


async def test_bulk_work_leaves_a_seat_a_worker_and_interactive_work_takes_it(desk: Desk) -> None:
    """Two workers with two seats each: two chunks of bulk work, then two of interactive work, then none."""
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
    """The seats kept for interactive work are counted against all seats, not against what one tick may offer."""
    for number in range(80):
        await desk.ledger.tick(f"w{number}", 4)
    await desk.load(1)
    assert len(await desk.tick("w0", 4)) == 1


async def test_no_connection_has_more_than_a_quarter_of_the_seats(desk: Desk) -> None:
    """Of 16 seats one connection gets 4, the others get theirs in the same tick; a chunk that ends makes room at once."""
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
    """Each further one gets a part of what is left: those that hold what they have leave room for one that comes later."""
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
    """Waiting connections do not make every worker tick as fast as it can while all seats are in use."""
    for connection in ("a", "b", "c", "d", "e"):
        await desk.load(1, connection)
    tick = await desk.ledger.tick("w1", 3)
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
    await desk.ledger.tick("w1", 8)
    await desk.ledger.tick("w2", 8)
    await desk.ledger.tick("w1", 0)
    await desk.ledger.client.zadd(desk.keys.workers(), {"w2": 1})
    await desk.ledger.tick("w3", 2)
    assert await desk.ledger.client.hgetall(desk.keys.worker_seats()) == {b"w3": b"2"}


async def test_a_throttled_connection_is_not_offered_before_its_time(desk: Desk) -> None:
    """Its chunks take no seat while its gate is closed; the others run."""
    await desk.load(1)
    await desk.ledger.spending.throttled("contoso", desk.buckets, 30, "429")
    await desk.load(1, "other")
    tick = await desk.ledger.tick("w1", 8)
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


# begin_batch


async def test_rows_are_marked_before_they_are_granted(desk: Desk) -> None:
    """Granted rows stand as sending, with attempt and time, and the job knows how many are open."""
    job = await desk.load(30)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    assert [row.index for row in grant.rows] == list(range(20))
    assert {row.attempt for row in grant.rows} == {1}
    assert await desk.letters(job) == "s" * 20 + "." * 10
    assert await desk.field(desk.keys.job(job), "open") == "20"
    assert (await desk.field(desk.keys.chunk(job, 0), f"b{grant.batch}")).startswith(f"{grant.begun_at_ms},0,1,2,")


async def test_rows_on_the_wire_are_never_granted_again(desk: Desk) -> None:
    """Begun twice by a message that runs twice, the second gets nothing."""
    await desk.load(3)
    lease = await desk.lease()
    assert (await desk.begin(lease)).rows
    assert (await desk.begin(lease, [0, 1, 2])).why == "nothing"


async def test_without_a_lease_nothing_begins(desk: Desk) -> None:
    """An expired lease may not begin, whether or not anybody has noticed that it expired."""
    await desk.load(3)
    lease = await desk.lease()
    await desk.make_past(desk.keys.leases())
    assert (await desk.begin(lease)).why == "lease"
    await desk.tick()
    assert (await desk.begin(lease)).why == "lease"


@pytest.mark.parametrize(
    ("move", "why"), [("pause", "paused"), ("cancel", "cancelled"), ("delete", "deleted")], ids=lambda x: x
)
async def test_pause_cancel_and_delete_act_at_begin(desk: Desk, move: str, why: str) -> None:
    """A chunk in work begins no batch after the job was paused, cancelled or deleted."""
    job = await desk.load(3)
    lease = await desk.lease()
    if move == "pause":
        await desk.jobs.pause(job, "")
    elif move == "cancel":
        await desk.jobs.cancel(job)
    else:
        await desk.jobs.delete(job)
    assert (await desk.begin(lease)).why == why


@pytest.mark.parametrize("who", ["connection", "everything", "tenant"])
async def test_a_hold_acts_at_begin(desk: Desk, who: str) -> None:
    """A hold on the connection, on everything or on the tenant stops a chunk in work."""
    await desk.load(3)
    lease = await desk.lease()
    if who == "connection":
        await desk.gates.hold("contoso", HoldReason.OPERATOR, "because")
    elif who == "everything":
        await desk.gates.hold_everything("because")
    else:
        await desk.gates.block_tenant("t", "because")
    grant = await desk.begin(lease)
    assert not grant.rows
    assert grant.why == ("tenant" if who == "tenant" else "held")


async def test_a_half_open_gate_lets_one_row_through_on_a_growing_interval(desk: Desk) -> None:
    """One real row is the try; the next may follow after twice the time; a row that went through opens the gate."""
    await desk.load(5)
    lease = await desk.lease()
    await desk.gates.hold("contoso", HoldReason.PERMISSION, "because", try_s=0.001)
    await desk.ledger.client.hset(desk.keys.connection("contoso"), "probe_at", 1)
    grant = await desk.begin(lease)
    assert (len(grant.rows), grant.probe) == (1, True)
    assert int(await desk.field(desk.keys.connection("contoso"), "probe_ms")) == 2
    await desk.ledger.client.hset(desk.keys.connection("contoso"), "probe_at", grant.begun_at_ms + 60_000)
    assert not (await desk.begin(lease)).rows
    assert await desk.gates.reopen_after_try("contoso")
    assert len((await desk.begin(lease, [1, 2, 3])).rows) == 3


async def test_a_try_that_went_through_does_not_lift_what_only_a_person_lifts(desk: Desk) -> None:
    """Held by an operator while the trying row was on the wire: it stays held."""
    await desk.gates.hold("contoso", HoldReason.PERMISSION, "because")
    await desk.gates.hold("contoso", HoldReason.OPERATOR, "stop")
    assert not await desk.gates.reopen_after_try("contoso")
    assert (await desk.gates.of("contoso")).kind is HoldReason.OPERATOR
    assert await desk.gates.reopen("contoso")
    assert not (await desk.gates.of("contoso")).held


async def test_a_lesser_hold_does_not_replace_a_graver_one(desk: Desk) -> None:
    """An expired secret does not make an abuse block one that ends by itself."""
    await desk.gates.hold("contoso", HoldReason.ABUSE, "blocked")
    await desk.gates.hold("contoso", HoldReason.CREDENTIAL, "expired")
    gate = await desk.gates.of("contoso")
    assert (gate.kind, gate.ends_by_itself, gate.try_at) == (HoldReason.ABUSE, False, None)


async def test_whoever_has_a_token_ends_a_credentials_hold(desk: Desk) -> None:
    """Who begins a batch has signed in, so the credential works."""
    await desk.load(3)
    lease = await desk.lease()
    await desk.gates.hold("contoso", HoldReason.CREDENTIAL, "expired")
    assert len((await desk.begin(lease)).rows) == 3
    assert not (await desk.gates.of("contoso")).held


async def test_the_daily_limit_is_kept_and_a_raised_one_ends_the_hold(desk: Desk) -> None:
    """Not one row more than the limit leaves in a day, over all chunks."""
    await desk.load(30)
    lease = await desk.lease()
    assert len((await desk.begin(lease, daily_limit=25)).rows) == 20
    assert len((await desk.begin(lease, range(20, 30), daily_limit=25)).rows) == 5
    grant = await desk.begin(lease, range(25, 30), daily_limit=25)
    assert (grant.why, grant.rows) == ("daily_limit", ())
    assert 0 < grant.wait_s <= 86_400
    await desk.gates.hold("contoso", HoldReason.DAILY_LIMIT, "over", try_s=60)
    assert (await desk.begin(lease, range(25, 30), daily_limit=25)).why == "daily_limit"
    assert (await desk.gates.of("contoso")).held
    assert len((await desk.begin(lease, range(25, 30), daily_limit=100)).rows) == 5
    assert not (await desk.gates.of("contoso")).held


async def test_only_as_many_rows_as_every_bucket_allows(desk: Desk) -> None:
    """The smallest bucket decides; what waits is told how long."""
    desk.buckets = [Bucket("wide", 1000, 1000), Bucket("narrow", 7, 600_000)]
    await desk.load(20)
    lease = await desk.lease()
    assert len((await desk.begin(lease)).rows) == 7
    grant = await desk.begin(lease, range(7, 20))
    assert grant.why == "quota"
    assert 60 < grant.wait_s <= 600


@pytest.mark.parametrize("bucket", [Bucket("one", 1, 1), Bucket("slow", 1, 10**9), Bucket("huge", 10**9, 1)])
async def test_odd_limits_divide_nothing_by_zero(desk: Desk, bucket: Bucket) -> None:
    """A limit of one, a very slow and a very large one each let a row through and say when the next may go."""
    desk.buckets = [bucket]
    await desk.load(30)
    lease = await desk.lease()
    assert (await desk.begin(lease)).rows
    assert isinstance(await desk.begin(lease, range(20, 30)), Grant)


async def test_a_guarded_pace_starts_slowly_and_doubles_after_ten_clean_minutes(desk: Desk) -> None:
    """12 a minute are 1 row at once; after ten clean minutes it is 24 a minute; after a throttle it begins anew."""
    desk.buckets = [Bucket("pace", 12, 0)]
    await desk.load(20)
    lease = await desk.lease()
    key = desk.keys.connection("contoso")
    assert len((await desk.begin(lease)).rows) == 1
    slow = (await desk.begin(lease, [1])).wait_s
    assert 4 < slow <= 5
    now = int(await desk.field(key, "clean_at"))
    await desk.ledger.client.hset(key, "clean_since", now - 600_000)
    assert 2 < (await desk.begin(lease, [1])).wait_s <= 2.5
    await desk.ledger.spending.throttled("contoso", [], 0, "429")
    assert (await desk.begin(lease, [1])).wait_s > 4


async def test_a_closed_bucket_is_closed_to_all_who_share_it(desk: Desk) -> None:
    """A 429 that one connection met is kept by another on the same tenant."""
    await desk.load(5, "one")
    await desk.load(5, "two")
    one, two = [await desk.ledger.claim(ticket) for ticket in await desk.tick("w1", 16)]
    assert one
    assert two
    assert (await desk.begin(one, [0])).rows
    await desk.ledger.spending.throttled("one", desk.buckets, 30, "429")
    grant = await desk.begin(two)
    assert grant.why == "quota"
    assert 29 < grant.wait_s <= 30


async def test_a_bucket_of_a_clock_put_back_fills_again(desk: Desk) -> None:
    """A time in the future does not keep a bucket empty until the clock has caught up."""
    desk.buckets = [Bucket("b", 10, 50)]
    await desk.load(20)
    lease = await desk.lease()
    await desk.ledger.client.hset(desk.keys.bucket("b"), mapping={"l": "0", "t": "99999999999999", "c": "0"})
    grant = await desk.begin(lease)
    assert not grant.rows
    await asyncio.sleep(0.03)
    grant = await desk.begin(lease)
    assert grant.rows


# record_batch


async def test_outcomes_count_once(desk: Desk) -> None:
    """Recorded twice (a call that redis-py repeated), a batch counts once and the job ends once."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    await desk.record(lease, grant)
    await desk.record(lease, grant)
    view = await desk.jobs.view(job)
    assert view
    assert (view.counts.invited, view.open, view.state) == (2, 0, JobState.DONE)
    assert await desk.jobs.finished_jobs("contoso") == 1


async def test_what_was_refused_before_processing_is_pending_again(desk: Desk) -> None:
    """A 429 puts a row back; it is offered again with the rest, and its attempts are counted."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    assert await desk.record(lease, grant, RowState.PENDING) == ".."
    assert await desk.field(desk.keys.job(job), "open") == "0"
    await desk.ledger.release(lease)
    again = await desk.lease()
    assert {row.attempt for row in (await desk.begin(again)).rows} == {2}


async def test_a_late_answer_still_settles_a_row(desk: Desk) -> None:
    """The fence guards sends, not facts: after the lease was lost and the row is in doubt, its answer is taken."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    await desk.make_past(desk.keys.leases())
    await desk.tick()
    assert await desk.letters(job) == "dd"
    assert await desk.record(lease, grant) == "ii"
    assert await desk.ledger.client.exists(desk.keys.doubts("contoso")) == 0
    view = await desk.jobs.view(job)
    assert view
    assert view.state is JobState.DONE


async def test_a_late_refusal_does_not_send_a_row_in_doubt_again(desk: Desk) -> None:
    """Only a fact is taken late: "send it again" from a batch given up long ago is none."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    await desk.make_past(desk.keys.leases())
    await desk.tick()
    assert await desk.record(lease, grant, RowState.PENDING) == "dd"
    assert await desk.field(desk.keys.job(job), "open") == "2"


async def test_a_late_refusal_does_not_touch_a_row_that_is_on_the_wire_again(desk: Desk) -> None:
    """It would be sent a third time while its second answer is under way."""
    job = await desk.load(1)
    lease = await desk.lease()
    old = await desk.begin(lease)
    await desk.record(lease, old, RowState.IN_DOUBT)
    absent = Outcome(0, RowState.PENDING, attempted_at_ms=old.begun_at_ms)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [absent])
    assert (await desk.begin(lease, [0])).rows
    assert await desk.record(lease, old, RowState.PENDING) == "s"


async def test_who_was_seen_before_a_send_is_not_taken_for_one_that_is_sent(desk: Desk) -> None:
    """A slow look-up before the first send finds the guest that another worker has just invited: no outcome of that row."""
    job = await desk.load(1)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    seen = Outcome(0, RowState.ALREADY_GUEST)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [seen])
    assert await desk.letters(job) == "s"
    await desk.record(lease, grant, RowState.IN_DOUBT)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, [seen])
    assert await desk.letters(job) == "d"


async def test_the_first_outcome_stays(desk: Desk) -> None:
    """A second one changes neither the row nor what is read of it."""
    job = await desk.load(1)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    await desk.record(lease, grant, RowState.INVITED)
    assert await desk.record(lease, grant, RowState.FAILED) == "i"
    assert [record["status"] async for record in desk.jobs.rows.results(job)] == ["invited"]


async def test_rows_ended_unsent_are_only_taken_while_they_are_pending(desk: Desk) -> None:
    """A worker that lost its lease ends rows of a blocked domain; another has sent one meanwhile, whose answer counts."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease, [0])
    outcomes = [Outcome(index, RowState.FAILED, code="blocked_domain") for index in (0, 1)]
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, 0, outcomes)
    assert await desk.letters(job) == "sf"
    assert await desk.record(lease, grant) == "if"
    assert [(r["status"], r["error_code"]) async for r in desk.jobs.rows.results(job)] == [
        ("invited", ""),
        ("failed", "blocked_domain"),
    ]


async def test_a_row_that_a_record_leaves_out_is_in_doubt(desk: Desk) -> None:
    """Nobody would ever record it: it must not stay on the wire for ever."""
    job = await desk.load(2)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, grant.batch, [Outcome(0, RowState.INVITED)])
    assert await desk.letters(job) == "id"


async def test_nothing_is_written_for_a_deleted_job(desk: Desk) -> None:
    """Late record, release, expired offer, look-up: none of them brings back a key of a deleted job."""
    job, other = await desk.load(250), await desk.load(1, "other")
    leases = [await desk.ledger.claim(ticket) for ticket in await desk.tick("w1", 32) if ticket.job == job]
    first, second, third = leases
    assert first
    assert second
    assert third
    grant, lost = await desk.begin(first), await desk.begin(second)
    await desk.record(second, lost, RowState.IN_DOUBT)
    assert await desk.jobs.delete(job)
    recorded = await desk.ledger.record_batch(
        job, 0, "contoso", Lane.BULK, grant.batch, [Outcome(row.index, RowState.INVITED) for row in grant.rows]
    )
    assert recorded.gone
    await desk.ledger.release(first)
    await desk.make_past(desk.keys.leases())
    await desk.settle_now()
    await desk.tick("w1", 32)
    assert await desk.doubts("contoso", 100) == []
    names = await desk.names()
    assert not [name for name in names if job in name.split(":")]
    assert f"job:{other}" in names


# release, renew, expiry


async def test_a_release_in_mid_batch_puts_its_rows_in_doubt(desk: Desk) -> None:
    """Rows on the wire when a chunk is given back are looked up, not sent again."""
    job = await desk.load(3)
    lease = await desk.lease()
    await desk.begin(lease, [0, 1])
    assert await desk.ledger.release(lease)
    assert await desk.letters(job) == "dd."
    again = await desk.lease()
    assert again.pending() == [2]
    assert not await desk.ledger.release(lease)


async def test_a_chunk_given_back_with_a_wait_is_not_offered_before(desk: Desk) -> None:
    """And only then."""
    await desk.load(1)
    await desk.ledger.release(await desk.lease(), 30)
    tick = await desk.ledger.tick("w1", 8)
    assert tick.offers == ()
    assert tick.next_s is not None
    assert 29 < tick.next_s <= 30


async def test_a_chunk_that_waits_for_another_jobs_guest_delays_nobody_else(desk: Desk) -> None:
    """Put off, it waits by itself: other chunks and jobs of its connection are offered at once, and it when its time has come."""
    job = await desk.load(1)
    lease = await desk.lease()
    await desk.ledger.release(lease, put_off_s=30)
    tick = await desk.ledger.tick("w1", 8)
    assert tick.offers == ()
    assert tick.next_s is not None
    assert 29 < tick.next_s <= 30
    other = await desk.load(1)
    assert [ticket.job for ticket in await desk.tick()] == [other]
    await desk.make_past(desk.keys.back(job))
    await desk.make_past(desk.keys.due())
    assert [ticket.job for ticket in await desk.tick()] == [job]


async def test_an_expired_lease_is_not_renewed(desk: Desk) -> None:
    """A worker that slept learns that it lost its lease; one in time keeps it."""
    await desk.load(1)
    lease = await desk.lease()
    await desk.ledger.renew([lease])
    assert not lease.lost
    await desk.make_past(desk.keys.leases())
    await desk.ledger.renew([lease])
    assert lease.lost


async def test_a_dead_workers_chunk_is_offered_again_at_once(desk: Desk) -> None:
    """When its lease ends, the same tick that notices offers the rest of the chunk."""
    job = await desk.load(30)
    lease = await desk.lease()
    await desk.begin(lease)
    await desk.make_past(desk.keys.leases())
    tick = await desk.ledger.tick("w2", 8)
    assert tick.lost_leases == 1
    assert [ticket.job for ticket, _ in tick.offers] == [job]
    assert await desk.letters(job) == "d" * 20 + "." * 10


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
    """Two look-ups at once: the slower one's "absent" is about an attempt that is resolved; the next one is in doubt again."""
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


# offer


async def test_a_producer_may_take_its_own_chunk_past_the_dispatcher(desk: Desk) -> None:
    """Once: either the producer has it or a tick, never both."""
    job = await desk.load(1, lane=Lane.NOW)
    ticket = await desk.ledger.offer(job, 0, "contoso", Lane.NOW)
    assert isinstance(ticket, Ticket)
    assert await desk.tick() == []
    assert await desk.ledger.offer(job, 0, "contoso", Lane.NOW) is None
    lease = await desk.ledger.claim(ticket)
    assert lease
    await desk.ledger.release(lease)
    assert len(await desk.tick()) == 1
    assert await desk.ledger.offer(job, 0, "contoso", Lane.NOW) is None


# fold


async def test_folding_changes_nothing_that_is_read(valkey_url: str) -> None:
    """Results read the same before and after, links included, and nothing is folded while a row has no outcome."""
    async with open_desk(valkey_url, sealer=Sealer(["a ledger key of some length"])) as desk:
        job = await desk.load(3, ended=[2])
        lease = await desk.lease()
        t = lease.ticket
        grant = await desk.begin(lease, [0])
        first = Outcome(
            0, RowState.INVITED, user_id="u0", redeem_url="https://x/1", attempts=1, at_ms=1_790_000_000_000
        )
        await desk.ledger.record_batch(t.job, 0, t.connection, t.lane, grant.batch, [first])
        assert not await desk.ledger.fold(job, 0)
        grant = await desk.begin(lease, [2])
        last = Outcome(2, RowState.ALREADY_GUEST, user_id="u2", code="already_exists", attempts=1)
        await desk.ledger.record_batch(t.job, 0, t.connection, t.lane, grant.batch, [last])
        before = [record async for record in desk.jobs.rows.results(job)]
        assert [r["status"] for r in before] == ["invited", "failed", "already_guest"]
        assert [r["redeem_url"] for r in before] == ["https://x/1", "", ""]
        assert await desk.ledger.fold(job, 0)
        assert [record async for record in desk.jobs.rows.results(job)] == before
        assert not await desk.ledger.fold(job, 0)
        raw = await desk.ledger.client.hgetall(desk.keys.chunk(job, 0))
        assert b"https://x/1" not in b"".join(raw.values())


# heal


async def test_healing_finds_what_was_lost_and_is_done_once_for_all(desk: Desk) -> None:
    """A connection that stands in no list is found, counts are those of the tickets again; a second heal is too soon."""
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
    assert await desk.ledger.heal() == 4
    assert await desk.ledger.heal() is None
    assert await c.exists(desk.keys.seats_of()) == 0
    assert await c.zrange(desk.keys.due(), 0, -1) == [b"lost"]
    assert [t.connection for t in await desk.tick()] == [ticket.connection] == ["lost"]


async def test_healing_finds_rows_in_doubt_that_nobody_would_look_up(desk: Desk) -> None:
    """Their connection is due again."""
    await desk.load(1)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.IN_DOUBT)
    await desk.ledger.client.delete(desk.keys.due_doubts())
    assert await desk.ledger.heal() == 1
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
    assert await desk.ledger.heal() == 2
    tick = await desk.ledger.tick("w1", 16)
    assert tick.next_s is not None
    assert tick.next_s <= 15


async def _lost_reply(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on each script's call is made twice, as redis-py does when the first answer is lost; the second one's is returned."""
    evalsha = desk.client.evalsha

    async def twice(*args: Any) -> Any:
        await evalsha(*args)
        return await evalsha(*args)

    monkeypatch.setattr(desk.client, "evalsha", twice)


async def test_a_begin_whose_answer_was_lost_grants_the_same_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called again by redis-py, it answers as before: rows that were never sent do not end in doubt, and no token is spent twice."""
    job = await desk.load(30)
    desk.buckets = (Bucket("b", 1000, 10**9),)
    lease = await desk.lease()
    first = await desk.begin(lease, [0, 1])
    await desk.ledger.record_batch(
        job, 0, "contoso", Lane.BULK, first.batch, [Outcome(0, RowState.PENDING_SILENT), Outcome(1, RowState.PENDING)]
    )
    await _lost_reply(desk, monkeypatch)
    grant = await desk.begin(lease, [0, 1, 2])
    assert [(row.index, row.attempt, row.silent) for row in grant.rows] == [(0, 2, True), (1, 2, False), (2, 1, False)]
    assert await desk.field(desk.keys.job(job), "open") == "3"
    assert float(await desk.field(desk.keys.bucket("b"), "l")) < 996
    assert float(await desk.field(desk.keys.bucket("b"), "l")) > 994
    assert await desk.record(lease, grant) == "iii" + "." * 27
    assert [row.index for row in (await desk.begin(lease, [3])).rows] == [3]


# used: what Graph shows of a limit


async def _level_after(
    desk: Desk,
    share: float,
    *,
    level: float = 900,
    begun_since: int = 0,
    beside: float | None = None,
    amount: int = 1000,
) -> float:
    """Return what is left of the writes once Graph has shown this share as used."""
    writes, small = Bucket("writes:c", amount, 10**9), Bucket("invitations:t", 150, 10**9)
    client, names = desk.ledger.client, desk.keys
    now_ms = 1000 * (await client.time())[0]
    await client.hset(names.bucket(writes.scope), mapping={"l": level, "t": now_ms})
    if beside is not None:
        await client.hset(names.bucket(small.scope), mapping={"l": beside, "t": now_ms})
    buckets = [writes, *([small] if beside is not None else [])]
    await desk.ledger.spending.show_used(buckets, share, begun_since=begun_since, elapsed_s=0.1)
    return float(await desk.field(names.bucket(writes.scope), "l"))


async def test_what_graph_shows_as_used_lowers_our_picture(desk: Desk) -> None:
    """A little more than we know of: what is left by Graph, less what has left since; a twentieth is kept once it was much more."""
    assert await _level_after(desk, 0.85, level=200) == pytest.approx(150)
    assert await _level_after(desk, 0.85, level=200, begun_since=40) == pytest.approx(110)
    assert await _level_after(desk, 0.85, level=900) == pytest.approx(100)
    assert await _level_after(desk, 0.85, level=160) == pytest.approx(100), "as long as it goes on"
    assert await _level_after(desk, 1.8, level=900) == pytest.approx(-50), "no spiral"


async def test_what_graph_shows_as_used_never_raises_our_picture(desk: Desk) -> None:
    """It may speak of another limit."""
    assert await _level_after(desk, 0.85, level=20) == 20


async def test_a_small_bucket_that_we_know_to_be_used_explains_what_is_shown(desk: Desk) -> None:
    """150 in 5 s are at their edge all the time; the writes beside them are left alone. A full one explains nothing."""
    assert await _level_after(desk, 0.9, beside=10) == 900
    assert await _level_after(desk, 0.9, beside=80) == 900
    assert await _level_after(desk, 0.9, beside=150) == pytest.approx(50)


async def test_what_our_own_rows_explain_lowers_nothing(desk: Desk) -> None:
    """A share in whole hundredths, and rows on the wire that are not in it yet: a list that is alone loses nothing by it."""
    assert await _level_after(desk, 0.99, level=14) == 14
    assert await _level_after(desk, 0.99, level=14, begun_since=40) == 14
    assert await _level_after(desk, 0.99, level=16, begun_since=40) == pytest.approx(-30)


async def test_a_small_bucket_is_not_corrected(desk: Desk) -> None:
    """Our own rows on the wire weigh more in it than what is shown."""
    assert await _level_after(desk, 0.85, amount=200, level=180) == 180
