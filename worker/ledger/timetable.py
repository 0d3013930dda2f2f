"""The timetable holds every schedule as celery-redbeat keeps it in Redis, and what became of its
runs.

A schedule comes from the configuration file, by way of the beat that fires, or was added at run
time. Either way its table is kept whole in the entry, so that whoever runs it needs no other
source, and a change of the file is a change of the entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from config.connections import split_chosen
from config.cron import find_zone, plain_fields
from config.errors import ConfigError
from config.reader import parse_schedule
from config.values import parse_name
from worker.ledger.rounds import Rounds
from worker.ledger.scripts import InLedger
from worker.masking import mask_text

if TYPE_CHECKING:
    from config.schedules import Schedule
    from config.settings import Settings

TASK = "usher.scheduled"
"""The Celery task that every entry fires."""
KEPT_RUNS = 50
KEPT_RUNS_EACH = 7
"""Of each connection of a schedule over several: a week of nights, some hundred bytes each."""
AHEAD_MS = 300_000
"""How far a beat's clock may be ahead of Redis's."""
_KEEP_RUNS_S = 400 * 86_400  # a yearly schedule still shows its last run

Origin = Literal["file", "added"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule on the timetable. `off`: switched off by hand, whatever the file says."""

    schedule: Schedule
    origin: Origin
    zone: str
    last_run_at: datetime
    """Of the last firing; of one that never fired, since when it is on the timetable."""
    off: bool = False
    fired: int = 0
    since: datetime | None = None
    """From when its intervals count, of one over several connections, whose `last_run_at` is until
    when its rounds were fired; from `last_run_at` unless told.
    """
    wakes_at: datetime | None = field(default=None, compare=False)
    """When the timetable has the beat look at it next."""

    @property
    def enabled(self) -> bool:
        """Whether the schedule fires."""
        return self.schedule.enabled and not self.off

    @property
    def shown_args(self) -> dict[str, Any]:
        """The arguments as they may be shown: an address of a list may carry a signature."""
        return {key: mask_text(value) if isinstance(value, str) else value for key, value in self.schedule.args.items()}

    @property
    def next_at(self) -> datetime | None:
        """When the schedule fires next, which may have passed; None for one that is switched
        off. Of one over several connections: the first of them, as far as a beat has told.
        """
        if not self.enabled:
            return None
        if self.schedule.several:
            return self.wakes_at or self.rounds().earliest(self.last_run_at)
        return self.schedule.next_after(self.last_run_at, find_zone(self.zone))

    def rounds(self, connections: Iterable[str] = ()) -> Rounds:
        """Return the rounds of a schedule over several connections."""
        return Rounds.over(self.schedule, find_zone(self.zone), self.since or self.last_run_at, connections)


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """One run of a schedule. `what` is a sentence without any address; `status`: running, ok,
    attention or failed.
    """

    due_ms: int
    by: str  # "beat", or the person who asked for it
    started_ms: int
    ended_ms: int = 0
    status: str = "running"
    what: str = ""
    jobs: tuple[str, ...] = ()
    details: tuple[str, ...] = field(default=())
    connection: str = ""
    """Of a schedule over several: the one that this run is of."""

    @property
    def due_at(self) -> datetime:
        """The time for which the run was due."""
        return datetime.fromtimestamp(self.due_ms / 1000, UTC)


class Latest(NamedTuple):
    """How the last run of one connection stands."""

    due_ms: int
    status: str


class Timetable(InLedger):
    """The timetable over one Redis client."""

    async def all(self) -> dict[str, Planned]:
        """Return every schedule on it, by name."""
        times = await self._client.zrange(self._keys.timetable(), 0, -1, withscores=True)
        async with self._client.pipeline(transaction=False) as pipe:
            for key, _ in times:
                pipe.hgetall(key)
            entries = await pipe.execute()
        found = [read_entry(fields, score) for fields, (_, score) in zip(entries, times, strict=True)]
        return dict(sorted((planned.schedule.name, planned) for planned in found if planned))

    async def planned(self, settings: Settings, now: datetime) -> dict[str, Planned]:
        """Return every schedule by name: as they stand on it, and those of the configuration that
        no beat has put there yet.
        """
        known = await self.all()
        missing = {
            name: plan(one, None, "file", settings.timezone, now)
            for name, one in settings.schedules.items()
            if name not in known
        }
        return dict(sorted((known | missing).items()))

    async def get(self, name: str) -> Planned | None:
        """Return one schedule; None when it is not on the timetable."""
        key = self._keys.schedule(name)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(key)
            pipe.zscore(self._keys.timetable(), key)
            return read_entry(*await pipe.execute())

    async def put(self, planned: Planned) -> None:
        """Write a schedule, over one of that name."""
        key = self._keys.schedule(planned.schedule.name)
        next_at = replace(planned, off=False, wakes_at=None).next_at or planned.last_run_at
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=_entry_fields(planned))
            pipe.zadd(self._keys.timetable(), {key: int(next_at.timestamp())})
            await pipe.execute()

    async def remove(self, name: str) -> None:
        """Take a schedule off, with what is known of its runs."""
        await self._take_off(name)
        connections = [raw.decode() for raw in await self._client.hkeys(self._keys.schedule_latest(name))]
        await self._client.unlink(self._keys.schedule_runs(name), self._keys.schedule_latest(name))
        await self.forget_runs(name, connections)

    async def forget_runs(self, name: str, connections: Sequence[str]) -> int:
        """Forget the runs of some connections of a schedule; returns of how many there were any."""
        if not connections:
            return 0
        await self._client.unlink(*(self._keys.schedule_runs(run_of(name, one)) for one in connections))
        return int(await self._client.hdel(self._keys.schedule_latest(name), *connections))

    async def _take_off(self, name: str) -> None:
        key = self._keys.schedule(name)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.timetable(), key)
            pipe.delete(key, self._keys.schedule_members(name))
            await pipe.execute()

    async def follow(self, settings: Settings, now: datetime) -> list[str]:
        """Bring the timetable in line with the configuration; returns a line for each change.

        A schedule that is new, or whose time was changed or switched on again, counts from now:
        what it would have done before is not made up for. One over several connections is looked
        at anew, as some may have come or gone. What is known of the runs of one that is removed
        stays until it ends by itself: a beat's user of Redis may write the timetable alone.
        """
        said = []
        present = await self.all()
        for name, schedule in settings.schedules.items():
            wanted = plan(schedule, present.get(name), "file", settings.timezone, now)
            if wanted != present.get(name):
                await self.put(wanted)
                said.append(f"schedule {name}: {'changed' if name in present else 'new'} in the configuration")
        for name, planned in present.items():
            if name in settings.schedules:
                continue
            if planned.origin == "file":
                await self._take_off(name)
                said.append(f"schedule {name}: no longer in the configuration, removed")
            elif planned.zone != settings.timezone:
                await self.put(plan(planned.schedule, planned, "added", settings.timezone, now))
        several = {name for name, one in settings.schedules.items() if one.several}
        several |= {name for name, planned in present.items() if planned.schedule.several}
        if several:
            looked_at = {self._keys.schedule(name): int(now.timestamp()) for name in several}
            await self._client.zadd(self._keys.timetable(), looked_at, xx=True)
        return said

    async def record(self, name: str, run: ScheduledRun) -> None:
        """Write down how a run stands; of many only the newest are kept."""
        key = self._keys.schedule_runs(run_of(name, run.connection))
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, str(run.due_ms), orjson.dumps(_run_fields(run)))
            pipe.expire(key, _KEEP_RUNS_S)
            pipe.hkeys(key)
            *_, known = await pipe.execute()
        times = sorted(int(raw) for raw in known if raw.isdigit())
        most = KEPT_RUNS_EACH if run.connection else KEPT_RUNS
        old = [str(due_ms).encode() for due_ms in times[:-most]] + [raw for raw in known if not raw.isdigit()]
        if old:
            await self._client.hdel(key, *old)
        if run.connection and run.due_ms == times[-1]:
            latest = self._keys.schedule_latest(name)
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.hset(latest, run.connection, orjson.dumps([run.due_ms, run.status]))
                pipe.expire(latest, _KEEP_RUNS_S)
                await pipe.execute()

    async def runs(self, name: str, newest: int = KEPT_RUNS, connections: Sequence[str] = ("",)) -> list[ScheduledRun]:
        """Return a schedule's runs, the newest first; of one over several some connections'."""
        async with self._client.pipeline(transaction=False) as pipe:
            for connection in connections:
                pipe.hvals(self._keys.schedule_runs(run_of(name, connection)))
            found = [_read_run(raw) for values in await pipe.execute() for raw in values]
        return sorted((run for run in found if run), key=lambda run: (-run.due_ms, run.connection))[:newest]

    async def run(self, name: str, due_ms: int, connection: str = "") -> ScheduledRun | None:
        """Return one run; None when nobody began it."""
        raw = await self._client.hget(self._keys.schedule_runs(run_of(name, connection)), str(due_ms))
        return _read_run(raw) if raw else None

    async def latest(self, name: str) -> dict[str, Latest]:
        """Return how the last run of each connection stands, of a schedule over several."""
        found = await self._client.hgetall(self._keys.schedule_latest(name))
        read = {connection.decode(): _read_latest(raw) for connection, raw in found.items()}
        return {connection: one for connection, one in read.items() if one}

    async def has_beat(self) -> bool:
        """Whether a beat is there to fire: it holds celery-redbeat's lock."""
        return bool(await self._client.exists(f"{self._keys.beat()}:lock"))


def run_of(name: str, connection: str) -> str:
    """Return what runs are kept under: a schedule's name, of one over several connections with the
    connection's.
    """
    return f"{name}:{connection}" if connection else name


def plan(schedule: Schedule, present: Planned | None, origin: Origin, zone: str, now: datetime) -> Planned:
    """Return how a schedule is to stand, given how it stands. Pure."""
    if present is None:
        return Planned(schedule, origin, zone, now, since=now)
    before = present.schedule
    old = (before.cron, before.every, before.spread, present.zone)
    keeps = old == (schedule.cron, schedule.every, schedule.spread, zone) and before.enabled == schedule.enabled
    last_run_at, since = (present.last_run_at, present.since) if keeps else (now, now)
    return Planned(schedule, origin, zone, last_run_at, present.off, present.fired, since)


def firing_fault(name: object, due_ms: object, by: object, now_ms: int, connection: object = "") -> str:
    """Return why a firing cannot be one of the timetable's, '' for one that can. `connection`: of a
    schedule over several; its time is its own then, so much after the schedule's as its turn is.
    Pure.

    A time to come is refused above all: a run that is done before its time would be known, and
    tonight's would not be made.
    """
    if not isinstance(name, str) or not isinstance(by, str) or type(due_ms) is not int:
        return "it must name a schedule, a time in milliseconds and who asks for it"
    for what, value in (("schedule", name), *((("connection", connection),) if connection != "" else ())):
        try:
            parse_name(value)
        except ValueError as error:
            return f"the {what}'s name {error}"
    if due_ms > now_ms + AHEAD_MS:
        return "its time has not come; the clocks of beats, workers and Redis must agree within five minutes"
    return "its time is long past" if due_ms < now_ms - _KEEP_RUNS_S * 1000 else ""


def switch(planned: Planned, *, off: bool, now: datetime) -> Planned:
    """Return a schedule switched off, or on again: then it counts from now. Pure."""
    if planned.off and not off:
        planned = replace(planned, last_run_at=now, since=now)
    return replace(planned, off=off, wakes_at=None)


def read_table(name: str, table: Mapping[str, Any]) -> Schedule:
    """Return the schedule that an entry keeps, even of a connection that is gone."""
    connection = table.get("connection")
    return parse_schedule(name, table, split_chosen(connection) if isinstance(connection, str) else [])


def read_entry(fields: Mapping[bytes, bytes], wakes_s: float | None = None) -> Planned | None:
    """Read a hash of celery-redbeat's, and when the beat wakes for it; None for one that is no
    schedule of ours, or that no usher wrote.
    """
    from redbeat.decoder import RedBeatJSONDecoder

    try:
        definition = json.loads(fields.get(b"definition", b"{}"))
        kept = definition.get("kwargs") or {}
        if "table" not in kept:
            return None
        meta = json.loads(fields.get(b"meta", b"{}"), cls=RedBeatJSONDecoder)
        find_zone(kept["zone"])
        return Planned(
            read_table(definition["name"], kept["table"]),
            kept["origin"],
            kept["zone"],
            (meta.get("last_run_at") or datetime.now(UTC)).astimezone(UTC),
            fields.get(b"off") == b"1",
            int(meta.get("total_run_count") or 0),
            datetime.fromisoformat(kept["since"]) if "since" in kept else None,
            None if wakes_s is None else datetime.fromtimestamp(wakes_s, UTC),
        )
    except ConfigError:  # written by an usher that knew other tasks
        return None
    except (ValueError, LookupError, TypeError, AttributeError):  # written by nobody's usher
        return None


def _entry_fields(planned: Planned) -> dict[str, str]:
    from redbeat.decoder import RedBeatJSONEncoder

    schedule = planned.schedule
    kept = {"table": schedule.table, "origin": planned.origin, "zone": planned.zone}
    if planned.since is not None:
        kept["since"] = planned.since.isoformat()
    definition = {
        "name": schedule.name,
        "task": TASK,
        "args": [],
        "kwargs": kept,
        "options": {},
        "schedule": _as_celery(schedule),
        "enabled": planned.enabled,
    }
    meta = {"last_run_at": planned.last_run_at, "total_run_count": planned.fired}
    encoded = {
        name: json.dumps(value, cls=RedBeatJSONEncoder) for name, value in (("definition", definition), ("meta", meta))
    }
    return {**encoded, "off": "1" if planned.off else "0"}


def _as_celery(schedule: Schedule) -> Any:
    """Return Celery's own kind of schedule, for whoever reads the entry with other tools; usher's
    beat asks ours (`worker.process.beat`).
    """
    from celery.schedules import crontab
    from celery.schedules import schedule as interval

    if schedule.cron is None:
        return interval(run_every=schedule.every)
    minute, hour, day, month, weekday = plain_fields(schedule.cron)
    return crontab(minute, hour, weekday, day, month)


def _read_latest(raw: bytes) -> Latest | None:
    try:
        due_ms, status = orjson.loads(raw)
    except (ValueError, TypeError):
        return None
    return Latest(due_ms, status) if type(due_ms) is int and isinstance(status, str) else None


def _run_fields(run: ScheduledRun) -> dict[str, Any]:
    fields = asdict(run)
    return fields if run.connection else {name: value for name, value in fields.items() if name != "connection"}


def _read_run(raw: bytes) -> ScheduledRun | None:
    """Read a run; None for what is none: one such would hide all the others."""
    try:
        fields = orjson.loads(raw)
        run = ScheduledRun(**{**fields, "jobs": tuple(fields["jobs"]), "details": tuple(fields["details"])})
    except (ValueError, LookupError, TypeError):
        return None
    numbers, texts = (run.due_ms, run.started_ms, run.ended_ms), (run.by, run.status, run.what)
    good = all(type(number) is int for number in numbers) and all(isinstance(text, str) for text in texts)
    return run if good and all(isinstance(text, str) for text in (*run.jobs, *run.details)) else None
