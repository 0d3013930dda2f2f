"""The ledger keeps who is to be told of a job, and what of the job they have not heard yet
(`notifier` tells it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from worker.ledger.scripts import InLedger

AT_ONCE = 20
"""Jobs that one worker looks at in a round."""

FROM_MESSAGE = "message"
"""Named by a message, not by whoever runs usher: only what `notify.hosts` lists is told."""

ALONE = "alone"
"""The field of what is told by itself, and not of a job."""

LEASE_S = 60.0
"""How long they are its own: above what a round takes."""


class Notices(InLedger):
    """The jobs that somebody is told of, in the ledger."""

    async def watch(self, job: str, target: str, whose: str = "") -> None:
        """Tell `target` of a job; said before the job starts, so that none is missed. `whose`: who
        named it (`FROM_MESSAGE`).
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.notice(job), mapping={"to": target, "from": whose})
            pipe.zadd(self._keys.notices(), {job: 0})
            await pipe.execute()

    async def tell(self, name: str, target: str, event: Mapping[str, Any]) -> None:
        """Tell `target` of something that is no job's, once; said again under the same name, it is
        the same event.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.notice(name), mapping={"to": target, ALONE: 1, "out": orjson.dumps([event])})
            pipe.zadd(self._keys.notices(), {name: 0})
            await pipe.execute()

    async def claim(self) -> tuple[list[str], int]:
        """Take the jobs that are to be looked at, for a minute. Returns them and the present on
        Redis's clock, in milliseconds.
        """
        now, *jobs = await self._scripts["claim_notices"](
            keys=[self._keys.notices()], args=[AT_ONCE, round(LEASE_S * 1000)]
        )
        return [raw.decode() for raw in jobs], int(now)

    async def read(self, job: str) -> dict[str, str]:
        """Return what is kept of a job: `to`, `from` (who named it), `held` (the hold that was
        told), `out` (events not taken yet), `tries`; `ALONE` where there is no job.
        """
        found = await self._client.hgetall(self._keys.notice(job))
        return {name.decode(): value.decode() for name, value in found.items()}

    async def keep(self, job: str, at_ms: int, **fields: Any) -> None:
        """Write down what changed, and when to look again."""
        async with self._client.pipeline(transaction=True) as pipe:
            if fields:
                pipe.hset(self._keys.notice(job), mapping=fields)
            pipe.zadd(self._keys.notices(), {job: at_ms}, xx=True)
            await pipe.execute()

    async def forget(self, job: str) -> None:
        """Forget a job of which there is nothing more to tell."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.notices(), job)
            pipe.delete(self._keys.notice(job))
            await pipe.execute()
