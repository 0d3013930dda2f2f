"""Jobs are seen here: one, the newest, those of a channel. A stage is shown as part of its job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from worker.ledger.erasing import note_erased
from worker.ledger.gates import Gate, Gates
from worker.ledger.job_rows import every_job
from worker.ledger.job_view import JobView, read_view
from worker.ledger.keys import Keys
from worker.ledger.offers import WORKER_TTL_S
from worker.ledger.stages import is_stage, read_stage, split_stage, stages_of
from worker.store.client import read_time_ms

_PAGE = 50


class JobList:
    """The jobs of a ledger, to be looked at, over one Redis client."""

    def __init__(self, client: Redis, keys: Keys, gates: Gates) -> None:
        self.client: Any = client  # Any: redis-py's types say bytes or text of every reply; ours are bytes
        self.keys = keys
        self.gates = gates

    async def view(self, job: str) -> JobView | None:
        """Return one job as it stands; None when there is none of that id."""
        views = await self._read([job])
        return views[0] if views else None

    async def listed(self, *, newest: int = 50) -> list[JobView]:
        """Return the newest jobs, newest first; a stage is part of its job. Those whose keys have
        expired leave the list.
        """
        found: list[str] = []
        start, page = 0, max(newest, _PAGE)
        while len(found) < newest:
            ids = [raw.decode() for raw in await self.client.zrevrange(self.keys.jobs(), start, start + page - 1)]
            found += [job for job in ids if not is_stage(job)]
            start += page
            if len(ids) < page:
                break
        return await self._read(found[:newest], tidy=True)

    async def views(self, ids: Sequence[str]) -> list[JobView]:
        """Return some jobs as they stand, in their order; those that are gone are left out."""
        return await self._read(ids)

    async def page(self, after: tuple[int, str] | None, most: int) -> tuple[list[JobView], tuple[int, str] | None]:
        """Return jobs, the newest first, and where they go on; None where these were the last.
        `after`: where the page before ended, whether its last job is still there or not.
        """
        start = 0
        if after is not None:
            rank = await self.client.zrevrank(self.keys.jobs(), after[1])
            start = await self.client.zcount(self.keys.jobs(), after[0], "+inf") if rank is None else rank + 1
        found: list[tuple[int, str]] = []
        while len(found) < most:
            part = await self.client.zrevrange(self.keys.jobs(), start, start + _PAGE - 1, withscores=True)
            jobs = [(int(at), raw.decode()) for raw, at in part]
            found += [(at, job) for at, job in jobs if not is_stage(job)]
            start += _PAGE
            if len(part) < _PAGE:
                break
        shown, more = found[:most], len(found) > most or len(part) == _PAGE
        return await self._read([job for _, job in shown]), shown[-1] if shown and more else None

    async def _read(self, ids: Sequence[str], *, tidy: bool = False) -> list[JobView]:
        hashes = await self._hashes(ids)
        parts = await self._hashes([part for job, fields in hashes.items() for part in _stages_in(job, fields)])
        named = (fields.get(b"connection", b"").decode() for fields in (*hashes.values(), *parts.values()))
        gates = await self.gates.of_many(list(dict.fromkeys(filter(None, named))))

        def read(job: str, fields: dict[bytes, bytes]) -> JobView:
            stages = [
                read_stage(split_stage(part)[1], parts[part], gates[parts[part][b"connection"].decode()])
                for part in _stages_in(job, fields)
                if b"state" in parts[part]
            ]
            gate = gates.get(fields[b"connection"].decode(), Gate())  # nobody's has none
            return read_view(job, fields, gate, stages)

        gone = [job for job, fields in hashes.items() if b"state" not in fields]
        if gone and tidy:
            with suppress(NoPermissionError):  # a user that may only read
                if await self.client.zrem(self.keys.jobs(), *gone):
                    await note_erased(self.client, self.keys)
        return [read(job, fields) for job, fields in hashes.items() if b"state" in fields]

    async def _hashes(self, ids: Sequence[str]) -> dict[str, dict[bytes, bytes]]:
        if not ids:
            return {}
        async with self.client.pipeline(transaction=False) as pipe:
            for job in ids:
                pipe.hgetall(self.keys.job(job))
            return dict(zip(ids, await pipe.execute(), strict=True))

    async def submitted_since(self, since: datetime, channel: str) -> list[JobView]:
        """Return a channel's jobs that were submitted from then on, the oldest first."""
        walk = every_job(self.client, self.keys, "connection", since_ms=since.timestamp() * 1000)
        ids = [job.id async for job in walk if job.fields.get("connection") == channel.encode()]
        return await self._read(ids)

    async def finished_jobs(self, connection: str) -> int:
        """Return how many jobs of a connection ever ended by themselves."""
        return int(await self.client.hget(self.keys.connection(connection), "finished") or 0)

    async def workers(self) -> dict[str, int]:
        """Return the workers seen lately, with their seats."""
        since_ms = await read_time_ms(self.client) - round(WORKER_TTL_S * 1000)
        seen = set(await self.client.zrangebyscore(self.keys.workers(), since_ms, "+inf"))
        seats = await self.client.hgetall(self.keys.worker_seats())
        return {name.decode(): int(count) for name, count in seats.items() if name in seen}

    async def matching(self, start: str, *, most: int = 10) -> list[str]:
        """Return ids that begin so, `most` at most; an id is of letters and digits."""
        if not start.isalnum() or not start.isascii():
            return []
        found = []
        async for raw, _ in self.client.zscan_iter(self.keys.jobs(), match=f"{start}*", count=1000):
            if not is_stage(raw.decode()):
                found.append(raw.decode())
            if len(found) >= most:
                break
        return found


def _stages_in(job: str, fields: dict[bytes, bytes]) -> list[str]:
    """Return the stages of a job that has been started."""
    return stages_of(job, fields.get(b"stages")) if fields.get(b"state") != b"loading" else []
