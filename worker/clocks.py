"""There are three clocks: ours, Redis's (all times of the ledger) and Graph's (a user's
`createdDateTime`). Offsets are learned as we go.

Ours is the monotonic one, which nobody sets. So a Redis clock that is put forward or back (a
failover, a correction) is noticed, and what was written before looks neither older nor younger than
it is: a row sent a moment ago is not taken for absent after `settle_s`, nor waited for until the
clock has caught up. What happened before this process first asked Redis for the time cannot be told
from time that passed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

_JUMP_S = 2.0
"""Less than this is taken for the delay of an answer."""
_LATE_S = 0.5
"""An answer that took longer says too little of what time it is now. Well below the slack of
`worker/operations/invite_precheck.py` (2 s, of which up to 1.5 s are the whole seconds of
`createdDateTime` and `Date`): else an invited guest in doubt could be taken for one of before.
"""
_SAME_S = 60.0
"""A guest who was created so shortly before an attempt was created by it, when in doubt."""


@dataclass(slots=True)
class _Stretch:
    """Between two jumps Redis's clock ran as ours does: it was ahead by so much, as far as we saw
    it from when to when (seconds).
    """

    offset_s: float
    first_s: float
    last_s: float


class Clocks:
    """Offsets of other clocks from this process's, in seconds; until learned this machine's."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._redis: deque[_Stretch] = deque(maxlen=16)
        self._graph_s: dict[str, float] = {}

    def now(self) -> float:
        """Return the time on our own clock, in seconds: for `learn_redis`."""
        return self._now()

    def learn_redis(self, now_ms: int, asked_s: float | None = None) -> None:
        """Redis just said what time it is, asked at `asked_s` on our clock. What came late, to a
        busy or stopped process, is not believed.
        """
        now_s = self._now()
        if asked_s is not None and now_s - asked_s > _LATE_S:
            return
        offset_s = now_ms / 1000 - now_s
        if self._redis and abs(offset_s - self._redis[-1].offset_s) <= _JUMP_S:
            self._redis[-1].offset_s, self._redis[-1].last_s = offset_s, now_s
        else:
            self._redis.append(_Stretch(offset_s, now_s, now_s))

    def learn_graph(self, host: str, date: datetime | None) -> None:
        """An answer of Graph carried this `Date`. It has whole seconds, so half a second is our
        best guess of the rest.
        """
        if date is not None:
            self._graph_s[host] = date.timestamp() + 0.5 - self._now()

    @property
    def knows_redis(self) -> bool:
        """Whether Redis has said what time it is."""
        return bool(self._redis)

    def redis_ms(self) -> int:
        """Return Redis's time as far as we know it."""
        return round((self._now() + self._redis[-1].offset_s if self._redis else time.time()) * 1000)

    def age_s(self, mark_ms: int, at_ms: int) -> float:
        """Return how much time lay between two times of the ledger, whatever was done to its clock
        meanwhile; 0 if we cannot tell.
        """
        return max(0.0, self._times(at_ms)[0] - self._times(mark_ms)[0])

    def graph_time(self, host: str, redis_ms: int) -> float:
        """Return a time of the ledger on Graph's clock, in seconds since the epoch; the present if
        we cannot tell.
        """
        times = self._times(redis_ms)
        now_s, offset_s = self._now(), self._graph_s.get(host)
        graph_s = time.time() if offset_s is None else now_s + offset_s
        return graph_s - max(0.0, now_s - min(at_s for at_s in times if times[0] - at_s < _SAME_S))

    def _times(self, ledger_ms: int) -> list[float]:
        """Return when on our clock it was that time of the ledger, latest first: more than once if
        it was put back, now if it never was.
        """
        now_s, stretches, times = self._now(), list(self._redis), []
        if not stretches:
            return [now_s - time.time() + ledger_ms / 1000]
        for k in range(len(stretches) - 1, -1, -1):
            at_s = ledger_ms / 1000 - stretches[k].offset_s
            begin_s = stretches[k - 1].last_s if k else float("-inf")
            end_s = stretches[k + 1].first_s if k + 1 < len(stretches) else now_s
            if begin_s - _JUMP_S / 2 <= at_s <= end_s + _JUMP_S / 2:
                times.append(at_s)
        return times or [now_s]
