"""A follower goes on or stops, decided from what is seen of the job and nothing else.

    running, throttled, in doubt      go on; unwatched, at most `wait_s` without any row ending
    held, and a try may end it        go on for `wait_s` (None: for ever, somebody watches)
    held until a person acts          stop, within 10 s
    paused, cancelled, stopped        stop once nothing is on the wire, at most after 30 s
    Redis away                        go on for two minutes

Pure; time comes in by argument.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from worker.ledger.job_view import JobView
from worker.ledger.model import JobState

OUTAGE_S = 120.0
"""A lost Redis is outlived this long."""
DRAIN_S = 30.0
"""Rows on the wire are waited for this long after a pause: one request takes 25 s at most
([graph].timeout_s).
"""
HELD_DRAIN_S = 8.0
"""The same for a hold that only a person can lift: the command returns within 10 s."""
NO_WORKER_S = 10.0
"""Time without any worker before that is said."""
_RATE_OVER_S = 20.0


class End(StrEnum):
    """Why following ends."""

    ENDED = "ended"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    PILOT = "pilot"
    HELD = "held"
    DELETED = "deleted"
    LOST = "lost"
    LEFT = "left running"
    STUCK = "stuck"


@dataclass(slots=True)
class Follower:
    """What was seen of a job so far. `wait_s`: patience with passing holds, None for no limit."""

    wait_s: float | None
    held_since_s: float | None = None
    still_since_s: float | None = None
    away_since_s: float | None = None
    no_worker_since_s: float | None = None
    moved_s: float | None = None
    _finished: int = -1
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def see(self, view: JobView | None, now_s: float) -> End | None:
        """Look at the job as it stands; returns why to stop, None to go on."""
        self.away_since_s = None
        if view is None:
            return End.DELETED
        self._sample(view, now_s)
        if view.ended:
            return End.CANCELLED if view.state is JobState.CANCELLED else End.ENDED
        if view.state is JobState.CANCELLED:
            return End.CANCELLED if self._is_still(view, now_s, DRAIN_S) else None
        if view.state is JobState.PAUSED:
            reason = End.PILOT if view.why == "pilot" else End.PAUSED
            return reason if self._is_still(view, now_s, DRAIN_S) else None
        if view.state is not JobState.HELD:
            self.held_since_s = self.still_since_s = None
            return End.STUCK if self._is_stuck(view, now_s) else None
        if view.waits_for_a_person or not view.gate.ends_by_itself:
            return End.HELD if self._is_still(view, now_s, HELD_DRAIN_S) else None
        if self.held_since_s is None:
            self.held_since_s = now_s
        if self.wait_s is not None and now_s - self.held_since_s >= self.wait_s:
            return End.HELD
        return None

    def see_nothing(self, now_s: float) -> End | None:
        """Redis did not answer."""
        if self.away_since_s is None:
            self.away_since_s = now_s
        return End.LOST if now_s - self.away_since_s >= OUTAGE_S else None

    def see_workers(self, count: int, now_s: float) -> bool:
        """Look at how many workers there are; returns whether it is time to say that none is."""
        if count:
            self.no_worker_since_s = None
            return False
        if self.no_worker_since_s is None:
            self.no_worker_since_s = now_s
        return now_s - self.no_worker_since_s >= NO_WORKER_S

    @property
    def rate(self) -> float:
        """Rows ended per second of late; 0 where that is not known yet."""
        if len(self._samples) < 2:
            return 0.0
        (began_s, before), (ended_s, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended_s - began_s) if ended_s - began_s >= 1 else 0.0

    def _is_still(self, view: JobView, now_s: float, within_s: float) -> bool:
        if self.still_since_s is None:
            self.still_since_s = now_s
        return view.open <= 0 or now_s - self.still_since_s >= within_s

    def _is_stuck(self, view: JobView, now_s: float) -> bool:
        """Whether nothing has happened for longer than anybody is willing to wait: no worker, no
        way to Microsoft.
        """
        if view.adds_up("finished") != self._finished or view.open or view.gate.closed_until or self.moved_s is None:
            self._finished, self.moved_s = view.adds_up("finished"), now_s
        return self.wait_s is not None and now_s - self.moved_s >= self.wait_s

    def _sample(self, view: JobView, now_s: float) -> None:
        self._samples.append((now_s, view.adds_up("finished")))
        while self._samples[-1][0] - self._samples[0][0] > _RATE_OVER_S:
            self._samples.popleft()


def exit_status(end: End, failed: int, in_doubt: int, cancelled: int = 0) -> int:
    """Return the exit status of a followed job: 0 every row ended well, 1 some did not, 3 held,
    paused or left running.
    """
    if end in (End.ENDED, End.CANCELLED):
        return 1 if failed or in_doubt or cancelled else 0
    return 3
