"""A back-off says how long to stay away after trouble that passes by itself.

Such trouble is throttling without a usable Retry-After, or a network that is down.

One counter a connection and kind, in this process only: what other processes must know is in the
ledger (closed buckets, gates).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

_FIRST_S = 1.0
_MOST_S = 60.0
_TINY_S = 1.0
"""Directory 429s are known to say `Retry-After: 1` whatever the truth; that much or less is only
believed the first time.
"""


class Backoff:
    """A back-off doubles the wait of each name, with jitter, and forgets it at the first success.

    Many chunks of one connection meet the same trouble at once: what fails before a wait is over
    belongs to the failure it began with.
    """

    def __init__(
        self, chance: random.Random | None = None, now: Callable[[], float] = time.monotonic, *, free_tries: int = 0
    ) -> None:
        """`free_tries`: so many failures in a row have no wait of our own."""
        self._chance = chance or random.Random()
        self._now = now
        self._free_tries = free_tries
        self._failures: dict[str, tuple[int, float]] = {}  # how many in a row, and when the last one's wait is over

    def failed(self, name: str, retry_after_s: float | None = None, *, began_s_ago: float = 0.0) -> float:
        """Count a failure of what began so long ago; return the seconds to wait. The other side's
        own word wins, where it is credible.
        """
        failures, over_at = self._failures.get(name, (0, 0.0))
        left_s = over_at - self._now()
        if failures and left_s + began_s_ago > 0:
            wait_s = max(left_s, retry_after_s or 0.0, 0.0)
        else:
            failures += 1
            wait_s = self._wait_s(failures, retry_after_s)
        self._failures[name] = failures, self._now() + wait_s
        return wait_s

    def worked(self, name: str) -> None:
        """Forget a name's failures: it works again."""
        self._failures.pop(name, None)

    def _wait_s(self, failures: int, retry_after_s: float | None) -> float:
        if retry_after_s is not None and (retry_after_s > _TINY_S or failures == 1):
            return retry_after_s
        failures -= self._free_tries
        wait_s = (
            min(_MOST_S, _FIRST_S * 2.0 ** min(failures - 1, 10)) * self._chance.uniform(0.75, 1.25)
            if failures > 0
            else 0.0
        )
        return max(wait_s, retry_after_s or 0.0)
