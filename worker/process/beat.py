"""The beat, celery-redbeat's scheduler, follows the configuration file and outlives a Redis that is
away or a lock that was lost.

Each firing names the schedule and the time it was due, which follows from its last run: two beats
that fire the same tick (one was frozen while the other took over) name the same run, and its work
is done once. A firing is sent first and then ticked off, so that a beat killed in between costs
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery.schedules import schedstate
from redbeat import RedBeatScheduler
from redbeat.schedulers import RedBeatSchedulerEntry, acquire_distributed_beat_lock, get_redis
from redis.exceptions import LockError

from config.cron import find_zone
from worker.ledger.programs.running_programs import EVERY_S, describe_self, dump
from worker.ledger.timetable import TASK, Timetable, read_table
from worker.process.configuration_faults import ConfigurationFaults
from worker.process.going_round import GoingRound
from worker.process.liveness import VARIABLE, ProbeFile
from worker.process.process_settings import find_process_settings
from worker.store.client import OUTAGE, open_client

log = logging.getLogger(__name__)

_AWAY_S = 1.0
_TURNS_S = 90.0
"""Longer than a tick takes that finds Redis away and tries again (`worker.app`, RedBeat's retries):
one after which nothing came hangs.
"""
_SOON_S = 0.5
_LOOK_EVERY_S = 1.0  # at the configuration


class BeatEntry(RedBeatSchedulerEntry):
    """A schedule as the beat sees it: its time is ours to tell."""

    @staticmethod
    def generate_key(app: Any, name: str) -> str:
        """As `worker.ledger.keys.Keys.schedule` has it."""
        return f"{app.redbeat_conf.key_prefix}:entry:{name}"

    @property
    def due_at(self) -> datetime:
        """When it is due, which may have passed."""
        spec = read_table(self.name, self.kwargs["table"])
        return spec.next_after(self.last_run_at or datetime.now(UTC), find_zone(self.kwargs["zone"]))

    def is_due(self) -> Any:
        """Return Celery's pair: whether it is due, and in how many seconds to ask again."""
        if not self.enabled:
            return schedstate(False, 5.0)
        left_s = (self.due_at - datetime.now(UTC)).total_seconds()
        return schedstate(left_s <= 0, left_s if left_s > 0 else _SOON_S)

    def ticked_off(self, due_at: datetime) -> datetime:
        """Return its last run once this firing is made: an interval keeps its pace, what was missed
        meanwhile is not made up for.
        """
        now = datetime.now(UTC)
        every_s = read_table(self.name, self.kwargs["table"]).every
        if every_s is None:
            return max(now, due_at)
        return due_at + timedelta(seconds=every_s * max(0, (now - due_at).total_seconds() // every_s))


class UsherScheduler(RedBeatScheduler):
    """What `beat_scheduler` names."""

    Entry = BeatEntry
    lock: Any

    def __init__(self, app: Any, **kwargs: Any) -> None:
        self._own = find_process_settings()
        self._followed: Any = None
        self._away = False
        self._turned_s = time.monotonic()
        self._probe_file: ProbeFile | None = None
        self._leaving = threading.Event()
        self._round = GoingRound(
            app,
            lambda name, turn: self._send(name, turn.at, producer=self.producer, connection=turn.connection),
            self._keep_lock,
        )
        self._saying = threading.Thread(target=self._say, name="usher-beat-here", daemon=True)
        super().__init__(app, **kwargs)

    def setup_schedule(self) -> None:
        """Say that this beat is there. Celery makes another scheduler for its banner, lazily, for
        which this is not called.

        Only the beat that holds the lock writes the timetable, at its first tick and whenever the
        file changes.
        """
        self._saying.start()
        if path := os.environ.get(VARIABLE):
            self._probe_file = ProbeFile(Path(path), lambda _: self.turns)
            self._probe_file.start()

    @property
    def turns(self) -> bool:
        """Whether this beat ticks, or waits for its turn while another one does."""
        return self.lock is None or time.monotonic() - self._turned_s < _TURNS_S

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due. Returns in how many seconds to come again."""
        self._turned_s = time.monotonic()
        try:
            if self.lock is None:
                acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=self))
            self._keep_lock()
            self._follow()
            wait_s = float(super().tick(*args, **kwargs))
        except LockError:
            log.warning("another beat took over while this one was away; waiting for its turn")
            self.lock = self._followed = None
            self._round.forget()
            return 0.0
        except OUTAGE as error:
            if not self._away:
                log.warning("Redis is away (%s); nothing fires until it is back", type(error).__name__)
            self._away = True
            return _AWAY_S
        if self._away:
            self._away = False
            log.info("Redis is back")
        return wait_s

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Fire an entry: name it and its time; the worker reads the rest from the timetable."""
        due_at = entry.due_at
        result = self._send(entry.name, due_at, producer=producer)
        entry._next_instance(last_run_at=entry.ticked_off(due_at))
        return result

    def maybe_due(self, entry: Any, **kwargs: Any) -> float:
        """Fire an entry if it is due; of one over several connections those whose turn has come.
        Returns in how many seconds to come again.
        """
        schedule = read_table(entry.name, entry.kwargs["table"])
        if not (schedule.several and entry.enabled):
            return float(super().maybe_due(entry, **kwargs))
        try:
            fired, wait_s = self._round.fire_due(entry, schedule, self._followed, datetime.now(UTC))
        except (LockError, *OUTAGE):
            raise
        except Exception as error:  # noqa: BLE001 - the broker's, say: other schedules go on, and this one is tried again
            log.error("schedule %s cannot be fired (%s); it is tried again", entry.name, type(error).__name__)
            return _SOON_S
        if fired:
            log.info("schedule %s: %d %s fired", entry.name, fired, "run" if fired == 1 else "runs")
        return wait_s

    def _send(self, name: str, due_at: datetime, *, producer: Any, connection: str = "") -> Any:
        of = f" of {connection}" if connection else ""
        return self.send_task(
            TASK,
            kwargs={"name": name, "due_ms": round(due_at.timestamp() * 1000), "by": "beat"}
            | ({"connection": connection} if connection else {}),
            producer=producer,
            ignore_result=True,
            argsrepr=f"(schedule {name}{of}, due {due_at:%Y-%m-%d %H:%M:%S}Z)",
            kwargsrepr="{}",
        )

    def _keep_lock(self) -> None:
        self._turned_s = time.monotonic()
        self.lock.extend(int(self.lock_timeout))

    def close(self) -> None:
        """Give the lock back: the other beat need not wait. While Redis is away it runs out."""
        self._leaving.set()
        if self._saying.is_alive():
            self._saying.join(_AWAY_S)
        if self._probe_file is not None:
            self._probe_file.stop()
        try:
            super().close()
        except (LockError, *OUTAGE):
            self.lock = None

    def _say(self) -> None:
        """Say that this beat is there, in its turn or waiting for it, until it leaves; and what is
        wrong with its configuration.
        """
        from worker.ledger.keys import Keys

        client = get_redis(self.app)
        name = f"beat-{os.getpid()}@{socket.gethostname()}"
        faults, say_at_s = ConfigurationFaults(self._own.problem, self._own.settings), 0.0
        while not self._leaving.wait(_LOOK_EVERY_S if say_at_s else 0):
            fault, settings = faults.look(), self._own.settings()
            if time.monotonic() < say_at_s:
                continue
            say_at_s = time.monotonic() + EVERY_S
            with suppress(*OUTAGE):
                seconds, _ = client.time()
                program = describe_self("beat", name, settings, fault)
                client.hset(Keys(settings.ledger.prefix).programs(), name, dump(program, int(seconds) * 1000))
        with suppress(*OUTAGE):
            client.hdel(Keys(self._own.settings().ledger.prefix).programs(), name)

    def _follow(self) -> None:
        settings = self._own.settings()
        if settings is self._followed:
            return
        for line in asyncio.run(self._bring_in_line(settings)):
            log.info("%s", line)
        self._followed = settings

    async def _bring_in_line(self, settings: Any) -> list[str]:
        from worker.ledger.keys import Keys

        client = open_client(self._own.redis_url)
        try:
            return await Timetable(client, Keys(settings.ledger.prefix)).follow(settings, datetime.now(UTC))
        finally:
            await client.aclose()
