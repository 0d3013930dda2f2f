"""A schedule over several connections goes round: at each of its times every connection has a run,
so much later as a hash of schedule and connection says, the same at each round.

What is due follows from two instants, until when the rounds were fired and now; so nothing has to
be kept of each connection. Pure.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.schedules import Schedule


def offset_s(schedule: str, connection: str, spread_s: float) -> int:
    """Return how many seconds after the schedule's time a connection's turn is: the same on every
    machine and for ever, from 0 to below `spread_s`.
    """
    digest = hashlib.sha256(f"{schedule}\n{connection}".encode()).digest()
    return int(int.from_bytes(digest[:6]) / (1 << 48) * spread_s)


@dataclass(frozen=True, slots=True)
class Turn:
    """One connection's run in a round."""

    at: datetime
    connection: str


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of a schedule. `since`: from when its intervals count; `offsets`: whose turn is
    how many seconds after each of its times, sorted.
    """

    schedule: Schedule
    zone: tzinfo
    since: datetime
    offsets: tuple[tuple[int, str], ...] = ()

    @classmethod
    def over(cls, schedule: Schedule, zone: tzinfo, since: datetime, connections: Iterable[str]) -> Rounds:
        """Return the rounds over these connections."""
        spread_s = schedule.spread or 0.0
        offsets = sorted((offset_s(schedule.name, name, spread_s), name) for name in connections)
        return cls(schedule, zone, since, tuple(offsets))

    def earliest(self, after: datetime) -> datetime:
        """Return an instant before which no connection has a turn, whatever connections come."""
        return max(after, next(self._times(after)))

    def due(self, after: datetime, until: datetime) -> list[Turn]:
        """Return the turns after one instant and up to another, the earliest first: of a connection
        that missed several only the first.
        """
        turns: dict[str, Turn] = {}
        for time in self._times(after):
            if time > until or len(turns) == len(self.offsets):
                break
            first, beyond = self._place(time, after), self._place(time, until)
            for offset, name in self.offsets[first:beyond]:
                turns.setdefault(name, Turn(time + timedelta(seconds=offset), name))
        return sorted(turns.values(), key=lambda turn: (turn.at, turn.connection))

    def next_after(self, after: datetime) -> datetime | None:
        """Return when the next turn is; None where there is no connection."""
        found: datetime | None = None
        for time in self._times(after) if self.offsets else ():
            if found is not None and time >= found:
                break
            place = self._place(time, after)
            if place < len(self.offsets):
                at = time + timedelta(seconds=self.offsets[place][0])
                found = min(found or at, at)
        return found

    def _place(self, time: datetime, instant: datetime) -> int:
        """Return how many connections have had their turn of this time at an instant."""
        return bisect_right(self.offsets, (instant - time).total_seconds(), key=lambda pair: pair[0])

    def _times(self, after: datetime) -> Iterator[datetime]:
        """Yield the schedule's times of which a turn may be after an instant."""
        begin = after - timedelta(seconds=self.schedule.spread or 0.0)
        every_s = self.schedule.every
        if every_s is not None:
            begin = self.since + timedelta(seconds=max(0.0, (begin - self.since).total_seconds() // every_s * every_s))
        while True:
            begin = self.schedule.next_after(begin, self.zone)
            yield begin
