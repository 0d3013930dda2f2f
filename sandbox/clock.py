"""The sandbox's two clocks: the wall clock it shows to callers, and the one its quotas run on.

Both can differ from this machine's: the wall clock by a skew (a caller must trust the `Date`
header, not its own clock), the quota clock by a factor (a rehearsal of an hour's throttling in a
minute). Whoever rehearses a year puts the wall clock forward by days; sign-ins keep the time of
this machine then, for tokens live as long as their holders' clocks say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """Time for one sandbox. `wall_s()`: Unix seconds; `quota_s()`: `time_scale` times faster."""

    __slots__ = (
        *("_date", "_date_s", "_monotonic", "_stamp", "_stamp_s", "_started_s", "_wall"),
        *("forward_s", "skew_s", "time_scale"),
    )

    def __init__(
        self,
        *,
        skew_s: float = 0.0,
        time_scale: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.skew_s = skew_s
        self.forward_s = 0.0
        self.time_scale = time_scale
        self._wall = wall
        self._monotonic = monotonic
        self._started_s = monotonic()
        self._date_s = self._stamp_s = -1
        self._date = self._stamp = ""

    def wall_s(self) -> float:
        """Return the sandbox's wall clock in Unix seconds."""
        return self._wall() + self.skew_s + self.forward_s

    def sign_in_s(self) -> float:
        """Return the wall clock without the days that it was put forward."""
        return self._wall() + self.skew_s

    def real_s(self) -> float:
        """Return seconds since the start in real time, for replication lag."""
        return self._monotonic() - self._started_s

    def quota_s(self) -> float:
        """Return seconds since the start on the quota clock."""
        return (self._monotonic() - self._started_s) * self.time_scale

    def http_date(self) -> str:
        """Return the value of a `Date` header; formatted once a second, as the hot path asks for it
        every time.
        """
        now_s = int(self.wall_s())
        if now_s != self._date_s:
            self._date_s, self._date = now_s, formatdate(now_s, usegmt=True)
        return self._date

    def stamp(self) -> str:
        """Return now as Graph writes instants: `2026-11-23T06:02:00Z`, whole seconds."""
        now_s = int(self.wall_s())
        if now_s != self._stamp_s:
            self._stamp_s, self._stamp = now_s, write_stamp(now_s)
        return self._stamp

    def stamp_before(self, seconds: float) -> str:
        """Return as an instant what time it was so many seconds ago."""
        return write_stamp(self.wall_s() - seconds)


def write_stamp(at_s: float) -> str:
    """Write Unix seconds as Graph writes instants; as texts they are in order, too."""
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
