"""A ledger for a test: keys of its own on a server that the whole run shares, and the few moves
that most tests make.
"""

from __future__ import annotations

import base64
import itertools
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from worker.ledger.batches import Ledger
from worker.ledger.doubts import DoubtfulRow
from worker.ledger.gates import Gates
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keys
from worker.ledger.model import Grant, Lane, Lease, Options, Outcome, RowState, Ticket
from worker.ledger.quota import Bucket
from worker.store.client import open_client
from worker.store.seal import Sealer

_numbers = itertools.count()

ROOMY = (Bucket("roomy", 100_000, 1000),)
"""A quota that never matters."""


def new_key_text() -> str:
    """Return a key for `[ledger].key`, as people make one: 32 random bytes as base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


@dataclass
class Desk:
    """A ledger with all that is needed to work on it, under a prefix of its own."""

    client: Redis
    keys: Keys
    ledger: Ledger
    jobs: Jobs
    gates: Gates
    buckets: Sequence[Bucket] = ROOMY
    made: int = field(default=0)
    trusted: bool = True  # connections with jobs are past their probation

    async def load(
        self,
        rows: int = 1,
        connection: str = "contoso",
        *,
        lane: Lane = Lane.BULK,
        job: str = "",
        pilot: int = 0,
        ended: Sequence[int] = (),
        options: Options | None = None,
    ) -> str:
        """Load and start a job; the rows numbered in `ended` (from 1) enter with an outcome.
        Returns its id.
        """
        self.made += 1
        job = job or f"j{self.made}"
        if self.trusted:
            await self.trust(connection)
        loading = await self.jobs.create(job, connection, lane, options=options or Options(), pilot=pilot)
        assert loading is not None
        for number in range(1, rows + 1):
            outcome = Outcome(0, RowState.FAILED, code="invalid_row") if number in ended else None
            loading.put({"email": f"{job}-{number}@example.com"}, outcome)
        await self.jobs.start(loading)
        return job

    async def trust(self, connection: str = "contoso") -> None:
        """Let a connection be past its probation."""
        client: Any = self.client
        await client.hset(self.keys.connection(connection), "clean", 5)

    async def tick(self, worker: str = "w1", seats: int = 8) -> list[Ticket]:
        """Tick; return what was offered."""
        return [ticket for ticket, _ in (await self.ledger.offers.tick(worker, seats)).offers]

    async def lease(self, worker: str = "w1", seats: int = 8) -> Lease:
        """Tick and claim the first offer."""
        for ticket in await self.tick(worker, seats):
            lease = await self.ledger.claim(ticket)
            if lease is not None:
                return lease
        raise AssertionError("nothing was offered")

    async def begin(self, lease: Lease, indexes: Sequence[int] | None = None, *, daily_limit: int = 0) -> Grant:
        """Begin a batch of the lease's pending rows, or of these."""
        wanted = lease.pending()[:20] if indexes is None else indexes
        return await self.ledger.begin_batch(
            lease, wanted, self.buckets, tenant_key="t", client_key="c", daily_limit=daily_limit
        )

    async def record(
        self, lease: Lease, grant: Grant, letter: RowState = RowState.DONE, *, batch: int | None = None
    ) -> str:
        """Record the same for all rows of a batch; return the chunk's letters then."""
        t = lease.ticket
        outcomes = [Outcome(row.index, letter, attempts=row.attempt) for row in grant.rows]
        await self.ledger.record_batch(
            t.job, t.chunk, t.connection, t.lane, grant.batch if batch is None else batch, outcomes
        )
        return await self.letters(t.job, t.chunk)

    async def letters(self, job: str, chunk: int = 0) -> str:
        """Return a chunk's letters."""
        raw: bytes = await self.ledger.client.hget(self.keys.chunk(job, chunk), "st")
        return raw.decode()

    async def field(self, key: str, name: str) -> str:
        """Return a field of a hash, '' where there is none."""
        raw: bytes | None = await self.ledger.client.hget(key, name)
        return (raw or b"").decode()

    async def doubts(self, connection: str, most: int) -> list[DoubtfulRow]:
        """Return the rows in doubt that are due; nobody is waited for."""
        found = await self.ledger.doubts.claim(connection, most)
        assert found is not None
        return found

    async def make_past(self, zset: str) -> None:
        """Let the time of everything in a sorted set have come."""
        for member in await self.ledger.client.zrange(zset, 0, -1):
            await self.ledger.client.zadd(zset, {member: 1})

    async def settle_now(self, connection: str = "contoso") -> None:
        """Let all rows in doubt of a connection be due."""
        await self.make_past(self.keys.doubts(connection))
        await self.make_past(self.keys.due_doubts())

    async def names(self) -> set[str]:
        """Return every key under the prefix, without it."""
        start = f"{self.keys.prefix}:"
        found = self.ledger.client.scan_iter(match=f"{start}*", count=1000)  # the server is shared, and full
        return {raw.decode().removeprefix(start) async for raw in found}


@asynccontextmanager
async def open_desk(
    url: str,
    *,
    prefix: str | None = None,
    lease_s: float = 15,
    settle_s: float = 60,
    keep_s: float = 3600,
    sealer: Sealer | None = None,
) -> AsyncIterator[Desk]:
    """Open a ledger under a prefix that nobody else has, or under a given one."""
    client = open_client(url)
    keys = Keys(prefix or f"t{os.getpid()}x{next(_numbers)}")
    try:
        yield Desk(
            client,
            keys,
            Ledger(client, keys, lease_s=lease_s, settle_s=settle_s, sealer=lambda: sealer),
            Jobs(client, keys, keep_s=keep_s, sealer=lambda: sealer),
            Gates(client, keys),
        )
    finally:
        await client.aclose()


def another(desk: Desk) -> Ledger:
    """The ledger as another process has it."""
    return Ledger(desk.client, desk.keys)


async def change_server(desk: Desk, *, ago_ms: int = 0) -> None:
    """Let the ledger be met on another server than it was left on, its last beat so long ago."""
    client: Any = desk.client
    beat = int(await desk.field(desk.keys.epoch(), "beat"))
    await client.hset(desk.keys.epoch(), mapping={"id": "another", "beat": beat - ago_ms})
    for process in await client.zrange(desk.keys.here(), 0, -1):
        await client.zadd(desk.keys.here(), {process: beat - ago_ms})


async def let_pass(desk: Desk, ms: int, *others: Ledger) -> None:
    """Let everything that was last seen have been seen so much earlier."""
    client: Any = desk.client
    await client.hincrby(desk.keys.epoch(), "beat", -ms)
    for process in await client.zrange(desk.keys.here(), 0, -1):
        await client.zincrby(desk.keys.here(), -ms, process)
    for ledger in (desk.ledger, *others):
        ledger.heartbeat._seen_ms -= ms


async def end_quiet(desk: Desk) -> None:
    """Let the time have passed that others are waited for."""
    client: Any = desk.client
    for name in ("quiet_until", "settle_from"):
        if await client.hexists(desk.keys.epoch(), name):
            await client.hset(desk.keys.epoch(), name, 1)
