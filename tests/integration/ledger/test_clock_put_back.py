"""Redis's clock was put back by an hour: times written before lie ahead, and nobody waits for them.
Rows in flight: tests/chaos/test_clock_jumps.py.

To put back the clock is to put what was written forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.ledgers import Desk
from worker.ledger.gates import HoldReason
from worker.ledger.model import Outcome, RowState
from worker.ledger.notices import Notices
from worker.ledger.quota import Bucket
from worker.store.client import read_time_ms

HOUR_MS = 3_600_000
CLOSED_S = 30


async def put_back(desk: Desk, key: str, fields: Sequence[str]) -> None:
    """Let times of a hash have been written before the clock was put back."""
    client: Any = desk.client
    for name in fields:
        await client.hincrby(key, name, HOUR_MS)


async def heal(desk: Desk) -> int | None:
    """Heal, as somebody did a moment before the clock was put back."""
    client: Any = desk.client
    await client.set(desk.keys.healed(), await read_time_ms(desk.client) + HOUR_MS)
    return await desk.ledger.offers.heal()


async def test_a_closed_bucket_opens_as_it_would_have(desk: Desk) -> None:
    """Closed by a 429 for half a minute, it is closed for that, not for an hour more; nor is its
    learned rate kept down.
    """
    desk.buckets = [Bucket("b", 1000, 60_000)]
    await desk.load(50)
    lease = await desk.lease()
    assert (await desk.begin(lease)).rows
    await desk.ledger.spending.throttled("contoso", desk.buckets, CLOSED_S, "429", refused=20)
    key = desk.keys.bucket("b")
    learned = [name for name in ("t", "c", "rt", "w") if await desk.field(key, name)]
    assert learned == ["t", "c", "rt", "w"]
    await put_back(desk, key, learned)
    assert CLOSED_S - 2 < (await desk.begin(lease, range(20, 40))).wait_s <= CLOSED_S
    now = await read_time_ms(desk.client)
    assert abs(int(await desk.field(key, "rt")) - now) < 5000
    assert abs(int(await desk.field(key, "w")) - now) < 5000
    assert await desk.ledger.spending.take(desk.buckets, 1) <= CLOSED_S


async def test_a_connection_closed_for_a_while_goes_on(desk: Desk) -> None:
    """By a 429, for half a minute: it is looked at no later than that."""
    await desk.load(20)
    await desk.ledger.spending.throttled("contoso", [], CLOSED_S, "429")
    key = desk.keys.connection("contoso")
    await put_back(desk, key, ["closed_until"])
    assert await heal(desk) == 1
    assert 0 < int(await desk.field(key, "closed_until")) - await read_time_ms(desk.client) <= CLOSED_S * 1000
    assert await heal(desk) == 0


async def test_a_held_connection_is_tried_in_time(desk: Desk) -> None:
    """A hold that a try may end is tried when it would have been."""
    await desk.load(20)
    await desk.gates.hold("contoso", HoldReason.TENANT, "A test.")
    key = desk.keys.connection("contoso")
    await put_back(desk, key, ["probe_at"])
    assert await heal(desk) == 1
    assert 0 < int(await desk.field(key, "probe_at")) - await read_time_ms(desk.client) <= 15_000


async def test_bulk_work_waits_no_longer_for_a_single_guest(desk: Desk) -> None:
    """Who asked for a single guest is gone, and so is the right of way."""
    await desk.load(20)
    lease = await desk.lease()
    key, client = desk.keys.connection("contoso"), desk.ledger.client
    await client.hset(key, "first", await read_time_ms(desk.client) + 300)
    await put_back(desk, key, ["first"])
    assert (await desk.begin(lease)).wait_s > CLOSED_S
    assert await heal(desk) == 1
    assert (await desk.begin(lease)).wait_s <= 0.3


async def test_a_credential_is_not_good_for_ever(desk: Desk) -> None:
    """One that was good before says nothing an hour long against another that is refused; the
    guarded pace keeps what it earned.
    """
    await desk.load(1)
    key, client = desk.keys.connection("contoso"), desk.ledger.client
    now = await read_time_ms(desk.client)
    await client.hset(key, mapping={"good": "f", "good_at": now, "clean_since": now - 1_000_000, "clean_at": now})
    await put_back(desk, key, ["good_at", "clean_since", "clean_at"])
    assert await heal(desk) == 3
    assert abs(int(await desk.field(key, "clean_since")) - now + 1_000_000) < 5000
    assert int(await desk.field(key, "good_at")) <= await read_time_ms(desk.client)
    assert int(await desk.field(key, "clean_at")) <= await read_time_ms(desk.client)


async def test_who_is_told_of_a_job_is_told_in_time(desk: Desk) -> None:
    """A job that somebody is to be told of is looked at when it would have been."""
    notices, client = Notices(desk.client, desk.keys), desk.ledger.client
    await notices.watch("j", "https://hook.example/")
    await notices.keep("j", await read_time_ms(desk.client) + HOUR_MS + 3000)
    assert await heal(desk) == 1
    assert await client.zscore(desk.keys.notices(), "j") <= await read_time_ms(desk.client) + 3000


async def test_a_dead_worker_has_no_seats_for_an_hour(desk: Desk) -> None:
    """Nor is a job that nobody loads any more thought to be loading."""
    client: Any = desk.client
    await desk.load(1)
    await desk.tick("w1")
    await client.zincrby(desk.keys.workers(), HOUR_MS, "w1")
    await client.zadd(desk.keys.loading(), {"j9": await read_time_ms(desk.client) + HOUR_MS})
    assert await heal(desk) == 2
    assert await client.zscore(desk.keys.workers(), "w1") <= await read_time_ms(desk.client)
    assert await client.zscore(desk.keys.loading(), "j9") <= await read_time_ms(desk.client)


async def test_a_second_chunk_is_offered_beside_another(desk: Desk) -> None:
    """What was spare was written before: it is not taken for a debt of an hour."""
    await desk.load(300)
    lease = await desk.lease("w1", 1)
    assert (await desk.begin(lease)).rows
    await put_back(desk, desk.keys.connection("contoso"), ["spare_at"])
    assert len(await desk.tick("w1", 32)) == 2


async def test_when_a_row_was_first_sent_is_kept(desk: Desk) -> None:
    """Its wait begins anew, but who remembers that time can still tell whether a guest is of this
    attempt; once it has ended all is gone.
    """
    job = await desk.load(1)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.IN_DOUBT)
    key = desk.keys.chunk(job, 0)
    sent_ms = int(await desk.field(key, "d0")) + HOUR_MS
    await put_back(desk, key, ["d0"])
    await desk.settle_now()
    (doubt,) = await desk.doubts("contoso", 10)
    assert doubt.first_at_ms == sent_ms
    assert doubt.attempted_at_ms <= await read_time_ms(desk.client)
    outcome = Outcome(0, RowState.DONE, attempted_at_ms=doubt.attempted_at_ms)
    await desk.ledger.record_batch(job, 0, "contoso", lease.ticket.lane, 0, [outcome])
    assert "f0" not in {name.decode() for name in await desk.ledger.client.hkeys(key)}
