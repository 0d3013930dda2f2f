"""The beat goes round a schedule's connections: it fires those whose turn has come since it last
did, each as a run of its own.

Kept of a schedule are the instant until which it was fired, and the connections it went round
then. So a tick costs a few commands and those that are due, however many connections there are,
and one that came meanwhile counts from now: what it would have had before is not made up for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redbeat.decoder import RedBeatJSONEncoder
from redbeat.schedulers import RedBeatSchedulerEntry, get_redis

from config.cron import find_zone
from worker.ledger.keys import Keys
from worker.ledger.rounds import Rounds, Turn

if TYPE_CHECKING:
    from config.schedules import Schedule
    from config.settings import Settings

_AT_ONCE = 200
"""Firings between two calls of `keep`: some tenths of a second."""


@dataclass(slots=True)
class _Going:
    """How far a schedule was fired. `made_of`: what the rounds follow from; `members`: the
    connections that they went over last, None where nobody has ever gone.
    """

    made_of: tuple[Any, ...]
    rounds: Rounds
    members: frozenset[str] | None
    until: datetime | None = None
    next_at: datetime | None = None

    @property
    def names(self) -> frozenset[str]:
        """The connections that the schedule has now."""
        return frozenset(name for _, name in self.rounds.offsets)


class GoingRound:
    """The rounds of all schedules over several connections, as one beat knows them.

    `keep` is called now and then while many are fired, to keep what the beat holds.
    """

    def __init__(self, app: Any, send: Callable[[str, Turn], object], keep: Callable[[], object]) -> None:
        self._app = app
        self._send = send
        self._keep = keep
        self._going: dict[str, _Going] = {}

    def forget(self) -> None:
        """Another beat goes round now: what is kept is read again before this one does."""
        self._going.clear()

    def fire_due(
        self, entry: RedBeatSchedulerEntry, schedule: Schedule, settings: Settings, now: datetime
    ) -> tuple[int, float]:
        """Fire whose turn has come. Returns their number, and the seconds until the next turn."""
        going = self._look(entry, schedule, settings)
        after = entry.last_run_at or now
        if going.next_at is not None and going.until == after and now < going.next_at:
            return 0, (going.next_at - now).total_seconds()
        now = max(now, after)
        turns = [
            turn for turn in going.rounds.due(after, now) if going.members is None or turn.connection in going.members
        ]
        for number, turn in enumerate(turns, 1):
            self._send(entry.name, turn)
            if number % _AT_ONCE == 0:
                self._keep()
        self._write(entry, going, now, len(turns), settings)
        assert going.next_at is not None
        return len(turns), (going.next_at - now).total_seconds()

    def _look(self, entry: RedBeatSchedulerEntry, schedule: Schedule, settings: Settings) -> _Going:
        """Return the rounds over the connections of now."""
        known = self._going.get(entry.name)
        made_of = (settings, schedule, entry.kwargs["zone"], entry.kwargs.get("since"))
        if known is not None and known.made_of[0] is settings and known.made_of[1:] == made_of[1:]:
            return known
        since = datetime.fromisoformat(made_of[3]) if made_of[3] else entry.last_run_at
        rounds = Rounds.over(schedule, find_zone(made_of[2]), since, settings.members(schedule.connection or ""))
        members = known.members if known is not None else self._read_members(entry.name, settings)
        going = self._going[entry.name] = _Going(made_of, rounds, members)
        return going

    def _read_members(self, name: str, settings: Settings) -> frozenset[str] | None:
        raw = get_redis(self._app).get(Keys(settings.ledger.prefix).schedule_members(name))
        return frozenset(json.loads(raw)) if raw else None

    def _write(
        self, entry: RedBeatSchedulerEntry, going: _Going, until: datetime, fired: int, settings: Settings
    ) -> None:
        """Write down until when it is fired, over whom, and when the next turn is: together."""
        next_at = going.rounds.next_after(until) or going.rounds.schedule.next_after(until, going.rounds.zone)
        meta = {"last_run_at": until, "total_run_count": (entry.total_run_count or 0) + fired}
        names = going.names
        with get_redis(self._app).pipeline() as pipe:
            pipe.hset(entry.key, "meta", json.dumps(meta, cls=RedBeatJSONEncoder))
            pipe.zadd(self._app.redbeat_conf.schedule_key, {entry.key: next_at.timestamp()})
            if names != going.members:
                pipe.set(Keys(settings.ledger.prefix).schedule_members(entry.name), json.dumps(sorted(names)))
            pipe.execute()
        going.until, going.next_at, going.members = until, next_at, names
