"""What is written of a batch and of its lease: the scripts `record_batch`, `release`, `renew` and
`fold` on a real server.
"""

from __future__ import annotations

from datetime import datetime

from tests.ledgers import Desk, open_desk
from worker.ledger.model import JobState, Lane, Outcome, RowState
from worker.store.seal import Sealer

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
    assert (view.counts.done, view.open, view.state) == (2, 0, JobState.DONE)
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
    """The fence guards sends, not facts: after the lease was lost and the row is in doubt, its
    answer is taken.
    """
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
    """A slow look-up before the first send finds the guest that another worker has just invited: no
    outcome of that row.
    """
    job = await desk.load(1)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    seen = Outcome(0, RowState.ALREADY)
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
    await desk.record(lease, grant, RowState.DONE)
    assert await desk.record(lease, grant, RowState.FAILED) == "i"
    assert [record["status"] async for record in desk.jobs.rows.results(job)] == ["invited"]


async def _ends(desk: Desk, job: str) -> list[str]:
    return [record["finished_at"] async for record in desk.jobs.rows.results(job)]


async def test_each_row_that_has_ended_says_when(desk: Desk) -> None:
    """Also one that was refused while its list was read, or was cancelled with its job; one that
    waits says nothing.
    """
    job = await desk.load(3, ended=[2])
    waiting, refused, _ = await _ends(desk, job)
    view = await desk.jobs.view(job)
    assert view
    assert waiting == ""
    assert datetime.fromisoformat(refused) == view.created_at
    await desk.jobs.cancel(job)
    view = await desk.jobs.view(job)
    assert view
    assert view.finished_at
    cancelled, again, _ = await _ends(desk, job)
    assert (datetime.fromisoformat(cancelled), again) == (view.finished_at, refused)


async def test_rows_ended_unsent_are_only_taken_while_they_are_pending(desk: Desk) -> None:
    """A worker that lost its lease ends rows of a blocked domain; another has sent one meanwhile,
    whose answer counts.
    """
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
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, grant.batch, [Outcome(0, RowState.DONE)])
    assert await desk.letters(job) == "id"


async def test_nothing_is_written_for_a_deleted_job(desk: Desk) -> None:
    """Late record, release, expired offer, look-up: none of them brings back a key of a deleted
    job.
    """
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
        job, 0, "contoso", Lane.BULK, grant.batch, [Outcome(row.index, RowState.DONE) for row in grant.rows]
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
    tick = await desk.ledger.offers.tick("w1", 8)
    assert tick.offers == ()
    assert tick.next_s is not None
    assert 29 < tick.next_s <= 30


async def test_a_chunk_that_waits_for_another_jobs_guest_delays_nobody_else(desk: Desk) -> None:
    """Put off, it waits by itself: other chunks and jobs of its connection are offered at once, and
    it when its time has come.
    """
    job = await desk.load(1)
    lease = await desk.lease()
    await desk.ledger.release(lease, put_off_s=30)
    tick = await desk.ledger.offers.tick("w1", 8)
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
    tick = await desk.ledger.offers.tick("w2", 8)
    assert tick.lost_leases == 1
    assert [ticket.job for ticket, _ in tick.offers] == [job]
    assert await desk.letters(job) == "d" * 20 + "." * 10


# fold


async def test_folding_changes_nothing_that_is_read(valkey_url: str) -> None:
    """Results read the same before and after, links included, and nothing is folded while a row has
    no outcome.
    """
    async with open_desk(valkey_url, sealer=Sealer(["a ledger key of some length"])) as desk:
        job = await desk.load(3, ended=[2])
        lease = await desk.lease()
        t = lease.ticket
        grant = await desk.begin(lease, [0])
        first = Outcome(0, RowState.DONE, user_id="u0", redeem_url="https://x/1", attempts=1, at_ms=1_790_000_000_000)
        await desk.ledger.record_batch(t.job, 0, t.connection, t.lane, grant.batch, [first])
        assert not await desk.ledger.fold(job, 0)
        grant = await desk.begin(lease, [2])
        last = Outcome(2, RowState.ALREADY, user_id="u2", code="already_exists", attempts=1)
        await desk.ledger.record_batch(t.job, 0, t.connection, t.lane, grant.batch, [last])
        before = [record async for record in desk.jobs.rows.results(job)]
        assert [r["status"] for r in before] == ["invited", "failed", "already_guest"]
        assert [r["redeem_url"] for r in before] == ["https://x/1", "", ""]
        assert await desk.ledger.fold(job, 0)
        assert [record async for record in desk.jobs.rows.results(job)] == before
        assert not await desk.ledger.fold(job, 0)
        raw = await desk.ledger.client.hgetall(desk.keys.chunk(job, 0))
        assert b"https://x/1" not in b"".join(raw.values())


async def test_a_chunk_that_is_folded_late_expires_with_its_job(desk: Desk) -> None:
    """Its worker was slower than the dispatcher that gave the ended job its expiry, or was
    killed.
    """
    job = await desk.load(3)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease))
    await desk.jobs.expire_ended()
    assert await desk.ledger.fold(job, 0)
    assert await desk.ledger.client.ttl(desk.keys.chunk(job, 0)) > 0
