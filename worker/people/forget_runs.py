"""Runs of schedules tell of a connection whose customer has left: its own schedules' runs go whole,
of others' what they say of it.

A schedule that was taken out of the configuration leaves its runs behind, and no table says whose
it was: they go where its name tells it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from config.connections import means_several
from worker.ledger.notices import ALONE, Notices

if TYPE_CHECKING:
    from worker.services import Services

_SOMEBODY = "a connection that was forgotten"


@dataclass(frozen=True, slots=True)
class Mentioned:
    """What tells that something is about a connection: its name as a word of its own, its tenant's
    id, its jobs.
    """

    name: str
    tenants: Collection[str]
    jobs: Collection[str]

    def is_in(self, text: str) -> bool:
        """Whether a text names any of them."""
        return bool(self._word.search(text)) or any(one in text for one in (*self.tenants, *self.jobs))

    def without(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Return a run's record without what it says of the connection."""
        details = [line for line in run.get("details", ()) if not self.is_in(str(line))]
        jobs = [job for job in run.get("jobs", ()) if job not in self.jobs]
        what = self._word.sub(_SOMEBODY, str(run.get("what", "")))
        for one in (*self.tenants, *self.jobs):
            what = what.replace(one, "…")
        return {**run, "what": what, "details": details, "jobs": jobs}

    @property
    def _word(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![\w-]){re.escape(self.name)}(?![\w-])")


async def forget_runs(services: Services, about: Mentioned, tables: Mapping[str, str]) -> int:
    """Remove what runs tell of a connection. `tables`: of each schedule that is known, which
    connections it is for, '' for all. Returns of how many schedules something went.
    """
    client = services.client
    others = [*services.settings().connections]
    rounds = {schedule for schedule, chosen in tables.items() if means_several(chosen)}
    touched = 0
    async for key, whose in _runs(services):
        schedule, _, connection = whose.partition(":")
        if connection:  # of one over several each has its own
            if connection == about.name:
                rounds.add(schedule)
                touched += await client.unlink(key)
            continue
        runs = await client.hgetall(key)
        said = {due: raw.decode() for due, raw in runs.items() if about.is_in(raw.decode())}
        chosen = tables.get(schedule)
        if chosen == about.name or (chosen is None and is_called_after(schedule, about.name, others)):
            touched += await client.unlink(key)
        elif said and (not chosen or means_several(chosen)):
            scrubbed = {due: orjson.dumps(about.without(orjson.loads(text))) for due, text in said.items()}
            await client.hset(key, mapping=scrubbed)
            touched += 1
    for schedule in rounds:
        await _leave_rounds(services, schedule, about.name)
    return touched


async def _leave_rounds(services: Services, schedule: str, connection: str) -> None:
    """Take a connection out of what is kept of a schedule over several."""
    client = services.client
    await client.hdel(services.keys.schedule_latest(schedule), connection)
    key = services.keys.schedule_members(schedule)
    members = orjson.loads(await client.get(key) or "[]")
    if connection in members:
        await client.set(key, orjson.dumps([one for one in members if one != connection]))


def is_called_after(schedule: str, name: str, others: Collection[str]) -> bool:
    """Whether a schedule bears a connection's name, and not another's that is longer. Pure."""

    def bears(one: str) -> bool:
        return f"-{one}-" in f"-{schedule}-"

    return bears(name) and not any(bears(other) for other in others if name in other and name != other)


async def forget_notices(services: Services, name: str) -> int:
    """Remove what nobody has taken yet of what was to be told of a connection, and of no job of
    it. Returns how many those were.
    """
    client = services.client
    notices, removed = Notices(services.client, services.keys), 0
    for raw in await client.zrange(services.keys.notices(), 0, -1):
        kept = await notices.read(raw.decode())
        if ALONE in kept and any(event.get("connection") == name for event in orjson.loads(kept.get("out") or "[]")):
            await notices.forget(raw.decode())
            removed += 1
    return removed


async def _runs(services: Services) -> AsyncIterator[tuple[str, str]]:
    """Yield each key with runs, and whose they are (`run_of`)."""
    client = services.client
    before, after = services.keys.schedule_runs("*").split("*")
    async for raw in client.scan_iter(match=f"{literal(before)}*{after}", count=1000):
        key = raw.decode()
        yield key, key.removeprefix(before).removesuffix(after)


def literal(text: str) -> str:
    """Return a text as a pattern of Redis has it."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)
