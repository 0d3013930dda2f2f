"""Graph shows how much of a limit is used before it throttles: `x-ms-throttle-limit-percentage`,
from 0.8 of the limit on.

The header does not say which limit it speaks of; it is taken to mean the writes of this app in this
tenant. Our picture is lowered where Graph shows less left (`used.lua`), unless a bucket that we
know to be that full explains it. What was begun after the batch that brought the header may not be
in it yet, so it is taken off too.
https://learn.microsoft.com/graph/throttling#best-practices-to-avoid-throttling
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from worker.graph.batch import GraphAnswer

WARNED_FROM = 0.8
"""Graph shows no smaller share."""


class Begun:
    """Counts the writes that this process has begun, by application and tenant."""

    def __init__(self) -> None:
        self._writes: Counter[str] = Counter()

    def add(self, client_key: str, writes: int) -> int:
        """Count writes that leave now; return the count then."""
        self._writes[client_key] += writes
        return self._writes[client_key]

    def since(self, client_key: str, count: int, cost: float = 1.0) -> int:
        """Return as how many rows of such a cost the writes weigh that began after that count."""
        return round((self._writes[client_key] - count) / cost)


def read_used(answers: Iterable[GraphAnswer]) -> float | None:
    """Return the largest share of a limit that answers show as used; None without any. Pure."""
    shares = []
    for answer in answers:
        shown = answer.headers.get("x-ms-throttle-limit-percentage")
        if shown is None:
            continue
        try:
            share = float(shown)
        except ValueError:
            continue
        if math.isfinite(share) and share >= WARNED_FROM:
            shares.append(share)
    return max(shares, default=None)
