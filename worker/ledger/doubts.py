"""The ledger knows which rows in doubt are due to be looked up, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.ledger import packing
from worker.ledger.model import Lane, Lease, Options
from worker.ledger.scripts import InLedger, to_ms


@dataclass(frozen=True, slots=True)
class DoubtfulRow:
    """A row in doubt that is due to be looked up."""

    job: str
    chunk: int
    index: int
    attempted_at_ms: int
    first_at_ms: int  # its first attempt that may have been carried out: this one, or one that was given up before


@dataclass(frozen=True, slots=True)
class DoubtfulChunk:
    """A chunk with rows in doubt, and what its job says of it."""

    rows: list[dict[str, Any]] = field(repr=False)
    attempts: str
    base: int
    options: Options
    lane: Lane
    stages: tuple[str, ...]
    suspect: bool = False  # as of a lease
    packed: bytes = field(default=b"", repr=False)
    tenant: str = ""  # as of a lease


class Doubts(InLedger):
    """The rows in doubt of one ledger."""

    async def claim(self, connection: str, most: int) -> list[DoubtfulRow] | None:
        """Return the connection's rows that are due to be looked up, oldest first.

        None while a worker may still come back with the answer itself (`epoch.lua`).
        """
        reply = await self._scripts["claim_doubts"](
            keys=[self._keys.doubts(connection), self._keys.epoch()], args=[self._keys.prefix, most]
        )
        if reply is None:
            return None
        parts = [part.decode() for part in reply]
        return [
            DoubtfulRow(job, int(chunk), int(row), int(at), int(first))
            for job, chunk, row, at, first in zip(*(iter(parts),) * 5, strict=True)
        ]

    async def first_attempts(self, lease: Lease) -> dict[int, int]:
        """Return, for those pending rows that were in doubt before, when they were first sent (ms):
        late, they may still have arrived.
        """
        rows = [i for i in lease.pending() if lease.attempts[i] != "0"]
        if not rows:
            return {}
        key = self._keys.chunk(lease.ticket.job, lease.ticket.chunk)
        times = await self._client.hmget(key, [f"f{i}" for i in rows])
        return {i: int(at) for i, at in zip(rows, times, strict=True) if at is not None}

    async def rows_of(self, job: str, chunk: int) -> DoubtfulChunk | None:
        """Return a chunk with rows in doubt; None once it is deleted."""
        rows, attempts, base = await self._client.hmget(self._keys.chunk(job, chunk), "rows", "at", "base")
        names = ("options", "lane", "stages", "servers", "tenant")
        options, lane, stages, servers, tenant = await self._client.hmget(self._keys.job(job), *names)
        met = await self._client.hget(self._keys.epoch(), "servers")
        if rows is None or options is None:
            return None
        return DoubtfulChunk(
            packing.unpack_rows(rows),
            (attempts or b"").decode(),
            int(base),
            Options(**orjson.loads(options)),
            Lane(lane.decode()),
            tuple((stages or b"").decode().split()),
            suspect=int(servers or 0) != int(met or 0),
            packed=rows,
            tenant=(tenant or b"").decode(),
        )

    async def end_look_up(self, connection: str, least_s: float = 0.0) -> None:
        """Say when the connection's next row in doubt is due: not before `least_s`."""
        await self._scripts["next_doubt"](
            keys=[self._keys.doubts(connection), self._keys.due_doubts()], args=[connection, to_ms(least_s)]
        )
