"""How long to stay away after trouble that passes by itself: throttling without a usable Retry-After, a network that is down.

One counter a connection and kind, in this process only: what other processes must know is in the ledger (closed buckets, gates).
"""

from __future__ import annotations

import random

_FIRST_S = 1.0
_MOST_S = 60.0
_TINY_S = 1.0
"""Directory 429s are known to say `Retry-After: 1` whatever the truth; that much or less is only believed the first time."""


class Backoff:
    """Doubling waits with jitter, per name; forgotten at the first success."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()  # noqa: S311 - jitter, no secret
        self._failures: dict[str, int] = {}

    def failed(self, name: str, retry_after_s: float | None = None) -> float:
        """Count a failure; return the seconds to wait. The other side's own word wins, where it is credible."""
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        if retry_after_s is not None and (retry_after_s > _TINY_S or failures == 1):
            return retry_after_s
        wait_s = min(_MOST_S, _FIRST_S * 2 ** (failures - 1)) * self._chance.uniform(0.75, 1.25)
        return max(wait_s, retry_after_s or 0.0)

    def worked(self, name: str) -> None:
        """It works again."""
        self._failures.pop(name, None)
