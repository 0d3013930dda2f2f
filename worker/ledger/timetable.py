"""The timetable holds every schedule as celery-redbeat keeps it in Redis, and what became of its
runs.

A schedule comes from the configuration file, by way of the beat that fires, or was added at run
time. Either way its table is kept whole in the entry, so that whoever runs it needs no other
source, and a change of the file is a change of the entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson
from redis.asyncio import Redis

from config.cron import find_zone, plain_fields
from config.errors import ConfigError
from config.reader import parse_schedule
from config.values import parse_name
from worker.ledger.keys import Keys

if TYPE_CHECKING:
    from config.schedules import Schedule
    from config.settings import Settings

TASK = "usher.scheduled"
"""The Celery task that every entry fires."""
KEPT_RUNS = 50
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

    @property
    def enabled(self) -> bool:
        """Whether the schedule fires."""
        return self.schedule.enabled and not self.off

    @property
    def next_at(self) -> datetime | None:
        """When the schedule fires next, which may have passed; None for one that is switched
        off.
        """
        return self.schedule.next_after(self.last_run_at, find_zone(self.zone)) if self.enabled else None


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

    @property
    def due_at(self) -> datetime:
        """The time for which the run was due."""
        return datetime.fromtimestamp(self.due_ms / 1000, UTC)


class Timetable:
    """The timetable over one Redis client."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys

    async def all(self) -> dict[str, Planned]:
        """Return every schedule on it, by name."""
        names = [raw.decode() for raw in await self._client.zrange(self._keys.timetable(), 0, -1)]
        async with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(name)
            found = [read_entry(fields) for fields in await pipe.execute()]
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
        return read_entry(await self._client.hgetall(self._keys.schedule(name)))

    async def put(self, planned: Planned) -> None:
        """Write a schedule, over one of that name."""
        key = self._keys.schedule(planned.schedule.name)
        next_at = planned.schedule.next_after(planned.last_run_at, find_zone(planned.zone))
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=_entry_fields(planned))
            pipe.zadd(self._keys.timetable(), {key: int(next_at.timestamp())})
            await pipe.execute()

    async def remove(self, name: str) -> None:
        """Take a schedule off, with what is known of its runs."""
        key = self._keys.schedule(name)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zrem(self._keys.timetable(), key)
            pipe.delete(key, self._keys.schedule_runs(name))
            await pipe.execute()

    async def follow(self, settings: Settings, now: datetime) -> list[str]:
        """Bring the timetable in line with the configuration; returns a line for each change.

        A schedule that is new, or whose time was changed or switched on again, counts from now:
        what it would have done before is not made up for.
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
                await self.remove(name)
                said.append(f"schedule {name}: no longer in the configuration, removed")
            elif planned.zone != settings.timezone:
                await self.put(plan(planned.schedule, planned, "added", settings.timezone, now))
        return said

    async def record(self, name: str, run: ScheduledRun) -> None:
        """Write down how a run stands; of many only the newest are kept."""
        key = self._keys.schedule_runs(name)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, str(run.due_ms), orjson.dumps(asdict(run)))
            pipe.expire(key, _KEEP_RUNS_S)
            pipe.hkeys(key)
            *_, known = await pipe.execute()
        times = sorted(int(raw) for raw in known if raw.isdigit())
        old = [str(due_ms).encode() for due_ms in times[:-KEPT_RUNS]] + [raw for raw in known if not raw.isdigit()]
        if old:
            await self._client.hdel(key, *old)

    async def runs(self, name: str, newest: int = KEPT_RUNS) -> list[ScheduledRun]:
        """Return a schedule's runs, the newest first."""
        found = [_read_run(raw) for raw in await self._client.hvals(self._keys.schedule_runs(name))]
        return sorted((run for run in found if run), key=lambda run: -run.due_ms)[:newest]

    async def run(self, name: str, due_ms: int) -> ScheduledRun | None:
        """Return one run; None when nobody began it."""
        raw = await self._client.hget(self._keys.schedule_runs(name), str(due_ms))
        return _read_run(raw) if raw else None

    async def has_beat(self) -> bool:
        """Whether a beat is there to fire: it holds celery-redbeat's lock."""
        return bool(await self._client.exists(f"{self._keys.beat()}:lock"))


def plan(schedule: Schedule, present: Planned | None, origin: Origin, zone: str, now: datetime) -> Planned:
    """Return how a schedule is to stand, given how it stands. Pure."""
    if present is None:
        return Planned(schedule, origin, zone, now)
    before = present.schedule
    same_time = (before.cron, before.every, present.zone) == (schedule.cron, schedule.every, zone)
    keeps = same_time and before.enabled == schedule.enabled
    return Planned(schedule, origin, zone, present.last_run_at if keeps else now, present.off, present.fired)


def firing_fault(name: object, due_ms: object, by: object, now_ms: int) -> str:
    """Return why a firing cannot be one of the timetable's, '' for one that can. Pure.

    A time to come is refused above all: a run that is done before its time would be known, and
    tonight's would not be made.
    """
    if not isinstance(name, str) or not isinstance(by, str) or type(due_ms) is not int:
        return "it must name a schedule, a time in milliseconds and who asks for it"
    try:
        parse_name(name)
    except ValueError as error:
        return f"the schedule's name {error}"
    if due_ms > now_ms + AHEAD_MS:
        return "its time has not come; the clocks of beats, workers and Redis must agree within five minutes"
    return "its time is long past" if due_ms < now_ms - _KEEP_RUNS_S * 1000 else ""


def switch(planned: Planned, *, off: bool, now: datetime) -> Planned:
    """Return a schedule switched off, or on again: then it counts from now. Pure."""
    last_run_at = now if planned.off and not off else planned.last_run_at
    return Planned(planned.schedule, planned.origin, planned.zone, last_run_at, off, planned.fired)


def read_table(name: str, table: Mapping[str, Any]) -> Schedule:
    """Return the schedule that an entry keeps. A connection it names may be gone: whoever runs it
    says so.
    """
    connection = table.get("connection")
    return parse_schedule(name, table, [connection] if isinstance(connection, str) else [])


def read_entry(fields: Mapping[bytes, bytes]) -> Planned | None:
    """Read a hash of celery-redbeat's; None for one that is no schedule of ours, or that no usher
    wrote.
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
        )
    except ConfigError:  # written by an usher that knew other tasks
        return None
    except (ValueError, LookupError, TypeError, AttributeError):  # written by nobody's usher
        return None


def _entry_fields(planned: Planned) -> dict[str, str]:
    from redbeat.decoder import RedBeatJSONEncoder

    schedule = planned.schedule
    definition = {
        "name": schedule.name,
        "task": TASK,
        "args": [],
        "kwargs": {"table": schedule.table, "origin": planned.origin, "zone": planned.zone},
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
