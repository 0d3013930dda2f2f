"""What stands between a batch and the wire: the script `begin_batch` on a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.ledgers import Desk
from worker.ledger.gates import HoldReason
from worker.ledger.model import Grant, Lane, Outcome, RowState
from worker.ledger.quota import Bucket

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
    """One real row is the try; the next may follow after twice the time; a row that went through
    opens the gate.
    """
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


@pytest.mark.usefixtures("one_day")
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
    """A limit of one, a very slow and a very large one each let a row through and say when the next
    may go.
    """
    desk.buckets = [bucket]
    await desk.load(30)
    lease = await desk.lease()
    assert (await desk.begin(lease)).rows
    assert isinstance(await desk.begin(lease, range(20, 30)), Grant)


async def test_a_guarded_pace_starts_slowly_and_doubles_after_ten_clean_minutes(desk: Desk) -> None:
    """12 a minute are 1 row at once; after ten clean minutes it is 24 a minute; after a throttle it
    begins anew.
    """
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


async def _lost_reply(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on each script's call is made twice, as redis-py does when the first answer is lost;
    the second one's is returned.
    """
    evalsha = desk.client.evalsha

    async def twice(*args: Any) -> Any:
        await evalsha(*args)
        return await evalsha(*args)

    monkeypatch.setattr(desk.client, "evalsha", twice)


async def test_a_begin_whose_answer_was_lost_grants_the_same_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called again by redis-py, it answers as before: rows that were never sent do not end in
    doubt, and no token is spent twice.
    """
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
