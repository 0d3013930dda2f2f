"""`usher schedules add`, `remove`, `enable`, `disable`, `run`: changed, or fired by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.schedules.firing import fire_now
from cli.schedules.several import run_each
from cli.schedules.showing import find_schedule, moment_of, planned_schedules, run_details, schedule_details
from cli.ui.place import Place
from cli.ui.terminal import Terminal
from config.reader import parse_schedule
from tasks.errors import Refusal
from tasks.safe_text import clean
from tasks.scheduled.adding import refuse_too_often, tell_lacking
from worker.ledger.timetable import Planned, Timetable, plan, switch
from worker.services import Services
from worker.store.client import read_time_ms

_LOOK_S = 0.3


async def add_schedule(terminal: Terminal, place: Place, services: Services, name: str, table: dict[str, Any]) -> int:
    """Put a schedule on the timetable."""
    settings = place.settings
    schedule = parse_schedule(name, table, settings.connection_names, base=Path.cwd())
    refuse_too_often(schedule)
    timetable = Timetable(services.client, services.keys)
    if name in await planned_schedules(place, timetable):
        raise Refusal(
            f"There is a schedule {name} already; nothing was changed. Remove it first, or take another name."
        )
    if schedule.several:
        settings.choose(schedule.connection or "")  # a tag that nobody has is more likely a slip
    planned = plan(schedule, None, "added", settings.timezone, datetime.now(UTC))
    await timetable.put(planned)
    await services.trail.note(
        "schedule.added", schedule=name, task=schedule.task, connection=schedule.connection, when=schedule.when
    )
    status = _finish(terminal, planned, f"Schedule {name} is added. {_next_words(planned)}")
    members = settings.members(schedule.connection or "")
    known = [settings.connections[one] for one in members if one in settings.connections]
    for sentence in tell_lacking(schedule, known):
        terminal.warn(sentence)
    return status


async def remove_schedule(terminal: Terminal, place: Place, services: Services, name: str) -> int:
    """Take a schedule that was added at run time off the timetable."""
    timetable = Timetable(services.client, services.keys)
    planned = await find_schedule(place, timetable, name)
    if name in place.settings.schedules:
        raise Refusal(
            f"Schedule {name} stands in {place.settings.source or 'the environment'}: remove it there, or usher"
            f" schedules disable {name}."
        )
    await timetable.remove(name)
    await services.trail.note("schedule.removed", schedule=name)
    return _finish(terminal, planned, f"Schedule {name} is removed. Jobs that it started go on.")


async def switch_schedule(terminal: Terminal, place: Place, services: Services, name: str, *, off: bool) -> int:
    """Let a schedule fire no more, or again."""
    timetable = Timetable(services.client, services.keys)
    planned = await find_schedule(place, timetable, name)
    if not off and not planned.schedule.enabled:
        raise Refusal(f"Schedule {name} is switched off in the configuration (enabled = false): switch it on there.")
    planned = switch(planned, off=off, now=datetime.now(UTC))
    await timetable.put(planned)
    await services.trail.note("schedule.disabled" if off else "schedule.enabled", schedule=name)
    said = f"Schedule {name} fires no more. To switch it on again: usher schedules enable {name}"
    return _finish(terminal, planned, said if off else f"Schedule {name} is on. {_next_words(planned)}")


def _next_words(planned: Planned) -> str:
    next_at = planned.next_at
    begins = "Its next round begins at" if planned.schedule.several else "Its next run is at"
    if next_at is None:
        return "It is switched off."
    moment = moment_of(planned, next_at.isoformat())
    zone = "" if moment.endswith(f" {planned.zone}") else f" ({planned.zone})"
    return f"{begins} {moment}{zone}."


def _finish(terminal: Terminal, planned: Planned, sentence: str) -> int:
    terminal.show(sentence)
    if terminal.quiet:
        terminal.print_json(schedule_details(planned, []))
    return 0


async def run_schedule(terminal: Terminal, place: Place, services: Services, name: str, wait_s: float) -> int:
    """Fire a schedule now, as the beat does, and wait for its result."""
    timetable = Timetable(services.client, services.keys)
    planned = await find_schedule(place, timetable, name)
    for connection in place.settings.members(planned.schedule.connection or ""):
        if place.private:
            place.need_sandbox(connection)  # it runs while a command is attached that asked for it
    due_ms = await read_time_ms(services.client)
    if planned.schedule.several:
        return await run_each(terminal, place, timetable, planned, due_ms, wait_s)
    await asyncio.to_thread(fire_now, name, due_ms)
    until_s = asyncio.get_running_loop().time() + wait_s
    found = None
    while asyncio.get_running_loop().time() < until_s:
        found = await timetable.run(name, due_ms)
        if found is not None and found.ended_ms:
            break
        await asyncio.sleep(_LOOK_S)
    if terminal.quiet:
        terminal.print_json({"schedule": name, **(run_details(found) if found else {"status": "waiting"})})
    elif found is None:
        terminal.warn(f"No worker has begun it yet; it runs when one is free: usher schedules show {name}")
    elif not found.ended_ms:
        terminal.warn(f"A worker is at it: usher schedules show {name}")
    else:
        terminal.show(clean(found.what))
        for job in found.jobs:
            terminal.show(f"To follow it: usher jobs watch {job}")
    if found is None or not found.ended_ms:
        return 3
    return 0 if found.status == "ok" else 1
