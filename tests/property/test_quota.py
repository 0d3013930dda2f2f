"""No interleaving of workers lets more through than a bucket allows, in any stretch of time. On the
real script.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from tests.ledgers import Desk, open_desk
from worker.ledger.model import Lease, RowState
from worker.ledger.quota import Bucket
from worker.store.client import read_time_ms

CLIENTS = ("one", "two", "three")


@dataclass(frozen=True)
class Spent:
    """Tokens taken at a time of Redis's clock, not before and not after these."""

    first_ms: int
    last_ms: int
    tokens: int


def assert_within(bucket: Bucket, spent: list[Spent]) -> None:
    """In no stretch of time more than a full bucket and what it was refilled with; a millisecond is
    the clock's grain.
    """
    rate = bucket.amount / bucket.window_ms
    spent = sorted(spent, key=lambda one: one.first_ms)
    for first, start in enumerate(spent):
        total = 0
        for one in spent[first:]:
            total += one.tokens
            took_ms = one.last_ms - start.first_ms
            allowed = bucket.amount + rate * (took_ms + 1) + 0.01
            assert total <= allowed, f"{total} tokens in {took_ms} ms of {bucket}"


async def _send(
    desk: Desk, lease: Lease, buckets: list[Bucket], sizes: list[int], chance: random.Random
) -> list[Spent]:
    """A worker: begins batches as it is allowed to, waits sometimes as told, sometimes not at
    all.
    """
    spent = []
    for size in sizes:
        grant = await desk.ledger.begin_batch(lease, range(size), buckets, tenant_key="t", client_key="c")
        if grant.rows:
            spent.append(Spent(grant.begun_at_ms, grant.begun_at_ms, len(grant.rows)))
            await desk.record(lease, grant, RowState.PENDING)
        else:
            assert grant.why == "quota"
            assert grant.wait_s > 0
            await asyncio.sleep(chance.choice((0, grant.wait_s / 2, grant.wait_s)) % 0.05)
    return spent


async def _read(desk: Desk, buckets: list[Bucket], tokens: list[int]) -> list[Spent]:
    """A settler: takes tokens for reads, all or none."""
    spent = []
    for wanted in tokens:
        before = await read_time_ms(desk.client)
        if not await desk.ledger.spending.take(buckets, wanted):
            spent.append(Spent(before, await read_time_ms(desk.client), wanted))
        await asyncio.sleep(0.003)
    return spent


async def _throttle(desk: Desk, buckets: list[Bucket], refusals: list[tuple[int, int, float]]) -> None:
    """Graph: refuses some of what it was sent, and sometimes shows that something goes through
    again. Sometimes the clock was put back.
    """
    for refused, begun_since, elapsed_s in refusals:
        await desk.ledger.spending.throttled(
            "one", buckets, 0.002 * refused, "429", refused=refused, begun_since=begun_since, elapsed_s=elapsed_s
        )
        await asyncio.sleep(0.004)
        if begun_since % 3 == 0:
            for name in (desk.keys.bucket(bucket.scope) for bucket in buckets):
                await desk.ledger.client.hset(name, "t", await read_time_ms(desk.client) + 5_000)
        if begun_since % 2:
            await desk.ledger.spending.works(buckets)


async def _run(
    url: str,
    buckets: list[Bucket],
    sizes: list[int],
    reads: list[int],
    refusals: list[tuple[int, int, float]],
    seed: int,
) -> list[Spent]:
    async with open_desk(url) as desk:
        for name in CLIENTS:  # three connections of one tenant: they share its buckets
            await desk.load(40, name)
        leases = [await desk.ledger.claim(ticket) for ticket in await desk.tick("w", 16)]
        chance = random.Random(seed)
        work = [_send(desk, lease, buckets, sizes, chance) for lease in leases if lease]
        assert len(work) == len(CLIENTS)
        throttling = asyncio.create_task(_throttle(desk, buckets, refusals))
        spent = await asyncio.gather(*work, _read(desk, buckets, reads))
        await throttling
        return [one for some in spent for one in some]


_buckets = st.builds(
    lambda scope, amount, window_ms, part: Bucket(
        scope, amount, window_ms, kept=max(0, min(amount * part, amount / 2 - 1))
    ),
    st.sampled_from("abcd"),
    st.integers(1, 120),
    st.integers(5, 400),
    st.sampled_from((0, 0.05, 0.5)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    buckets=st.lists(_buckets, min_size=1, max_size=4, unique_by=lambda bucket: bucket.scope),
    sizes=st.lists(st.integers(1, 20), min_size=5, max_size=25),
    reads=st.lists(st.integers(1, 5), max_size=5),
    refusals=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 40), st.floats(0, 0.1)), max_size=6),
    seed=st.integers(0, 1000),
)
def test_no_bucket_is_ever_overdrawn(
    valkey_url: str,
    buckets: list[Bucket],
    sizes: list[int],
    reads: list[int],
    refusals: list[tuple[int, int, float]],
    seed: int,
) -> None:
    """Three workers and a settler at once on nested buckets, whatever Graph's 429s teach in
    between: every one of them is kept.
    """
    reads = [min(tokens, *(int(bucket.amount - bucket.kept) for bucket in buckets)) for tokens in reads]
    spent = asyncio.run(_run(valkey_url, buckets, sizes, reads, refusals, seed))
    assert spent or refusals
    for bucket in buckets:
        assert_within(bucket, spent)
