"""The buckets in Redis are taken from for reads, closed by a 429, corrected by what Graph says is
used.

What an invitation takes, `begin_batch` takes with the mark. Which buckets a call needs: `quota.py`.
What is learned: `scripts/_quota.lua`.
"""

from __future__ import annotations

from collections.abc import Sequence

from worker.graph.batch import BATCH_LIMIT
from worker.ledger.model import Lane
from worker.ledger.quota import Bucket
from worker.ledger.scripts import InLedger, to_ms

RESERVE_ROWS = 100
"""Kept unspent of a large bucket from which somebody unknown takes too: about what is on the wire
of it at once.
"""

SLOWED = "Microsoft is slowing this tenant down; usher goes on by itself."
"""Why a connection waits that met a 429."""


class Spending(InLedger):
    """All processes at one ledger spend from the same buckets."""

    async def throttled(
        self,
        connection: str,
        buckets: Sequence[Bucket],
        wait_s: float,
        why: str,
        *,
        refused: int = 1,
        begun_since: int = 0,
        elapsed_s: float = 0.0,
    ) -> tuple[float, bool]:
        """Close the emptiest of the buckets that a 429 may mean for `wait_s` at least, and learn
        from the 429 (`throttled.lua`).

        `refused`: rows, or requests, that met it; `begun_since`: rows that left after them;
        `elapsed_s`: since they left. Returns the seconds until the next try, and whether this is a
        new 429 rather than one more of the last.
        """
        wait_ms, new = await self._scripts["throttled"](
            keys=[self._keys.connection(connection), *(self._keys.bucket(b.scope) for b in buckets)],
            args=[
                *(to_ms(wait_s), why, refused, begun_since, to_ms(elapsed_s), BATCH_LIMIT),
                *(v for b in buckets for v in (b.amount, b.window_ms, b.cost)),
            ],
        )
        return wait_ms / 1000, bool(new)

    async def works(self, buckets: Sequence[Bucket]) -> None:
        """Let others follow a row that tried a throttled quota (`tries_quota`) and went through."""
        await self._scripts["works"](keys=[self._keys.bucket(b.scope) for b in buckets])

    async def show_used(self, buckets: Sequence[Bucket], share: float, *, begun_since: int, elapsed_s: float) -> bool:
        """Lower our picture where it shows less used than `share`, which Graph says of a limit.
        Returns whether it did.

        `begun_since`: rows that left after those that brought the news; `elapsed_s`: since their
        mark.
        """
        known = [b for b in buckets if b.window_ms and not b.scope.startswith("pace:")]
        reply = await self._scripts["used"](
            keys=[self._keys.bucket(b.scope) for b in known],
            args=[
                *(share, begun_since, to_ms(elapsed_s), RESERVE_ROWS, BATCH_LIMIT),
                *(v for b in known for v in (b.amount, b.window_ms, b.cost, int(b.scope.startswith("writes:")))),
            ],
        )
        return bool(reply)

    async def take(self, buckets: Sequence[Bucket], tokens: int, lane: Lane = Lane.BULK) -> float:
        """Take tokens for reads, all or none. Returns 0, or the seconds to wait."""
        reply = await self._scripts["take"](
            keys=[self._keys.bucket(b.scope) for b in buckets],
            args=[tokens, *(v for b in buckets for v in (b.amount, b.window_ms, b.kept if lane is Lane.BULK else 0))],
        )
        return int(reply) / 1000
