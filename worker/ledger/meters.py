"""A worker process counts for `usher metrics`; Redis adds the counts up about once a second.

Rows are not counted here: the script that writes an outcome counts it in the same step
(`record_batch.lua`), so those sums are the ledger's own, whoever is killed. What is here (calls,
times, sign-ins) may lose its last second with the process.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from worker.graph.batch import Fate, GraphAnswer
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.ledger.keys import Keys

PUSH_EVERY_S = 1.0
"""A kill loses what was counted since. One call a second, none in an idle worker."""
BOUNDS: Final = {
    "batch_seconds": (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0),  # 25 s is `[graph].timeout_s` unless told otherwise
    "batch_rows": (1.0, 2.0, 5.0, 10.0, 15.0, 20.0),  # 20 is Microsoft's limit
}
"""Upper bounds of each histogram's buckets. A change makes sums over time wrong until the old ones
have left the window.
"""
_fate_of = attrgetter("fate", "status")
_MICRO = 1_000_000  # sums are whole numbers in Redis: HINCRBYFLOAT would gather its rounding


class Meters:
    """A process's counts since the last push, by field of `Keys.meters`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._push_at_s = 0.0

    def add(self, name: str, connection: str = "", label: str = "", *, by: int = 1) -> None:
        """Count something."""
        self._counts[f"{name}|{connection}|{label}"] += by

    def batch(self, connection: str, rows: int, elapsed_s: float) -> None:
        """Count a batch: how long Graph took, repetitions included, and how many rows it had."""
        self._observe("batch_seconds", connection, elapsed_s)
        self._observe("batch_rows", connection, float(rows))

    def answers(self, connection: str, operation: str, answers: Iterable[GraphAnswer]) -> None:
        """Count each request by what became of it, the members of a batch one by one."""
        for (fate, status), count in Counter(map(_fate_of, answers)).items():
            self.add("requests", connection, f"{operation}|{_status(fate, status)}", by=count)

    def graph_call(self, connection: Any, fate: Fate, status: int) -> None:
        """Count one HTTP call to Graph, each repetition anew (for `GraphClient`)."""
        self.add("calls", connection.name, _status(fate, status))

    def token_request(self, connection: Any, how: str) -> None:
        """Count one sign-in (for `TokenSource`)."""
        self.add("tokens", connection.name, how)

    async def push_if_due(self, client: Redis, keys: Keys, now_s: float) -> None:
        """Push what was counted, once a second at most. redis-py's errors pass; nothing is lost."""
        if self._counts and now_s >= self._push_at_s:
            self._push_at_s = now_s + PUSH_EVERY_S
            await self.push(client, keys)

    async def push(self, client: Redis, keys: Keys) -> None:
        """Add what was counted to Redis's sums, in one step."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        key, pipe = keys.meters(), client.pipeline(transaction=True)
        for field, by in counts.items():
            pipe.hincrby(key, field, by)
        try:
            await pipe.execute()
        except OUTAGE:
            self._counts.update(counts)
            raise

    def _observe(self, name: str, connection: str, value: float) -> None:
        bounds = BOUNDS[name]
        place = bisect_left(bounds, value)
        self.add(name, connection, f"{bounds[place]:g}" if place < len(bounds) else "+Inf")
        self.add(name, connection, "sum", by=round(value * _MICRO))


def read_sum(raw: int) -> float:
    """Return a histogram's sum as it was observed."""
    return raw / _MICRO


def _status(fate: Fate, status: int) -> str:
    """Return Graph's status, else `not_sent` (never left), `lost` (perhaps carried out)."""
    return str(status) if fate is Fate.ANSWERED else fate.value
