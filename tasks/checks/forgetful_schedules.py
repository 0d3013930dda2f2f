"""Some schedules would mail the same people at every run: the runs lie further apart than usher's
memory reaches, and nobody looks.

Where the directory is asked before each send it says who is a guest already; elsewhere usher goes
by its memory (`[ledger].remember`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from config.cron import find_zone
from config.errors import ConfigError
from worker.directory.lookups import may_try
from worker.errors import UsherError

if TYPE_CHECKING:
    from config.schedules import Schedule
    from worker.ledger.timetable import Planned
    from worker.services import Services

_SIGN_IN_WITHIN_S = 5.0
_ASKED = 10
"""Connections of a schedule over several: those of one application may do the same."""
_STEPS = 2000
"""Looked at ahead, each a sixtieth of the memory: more than five years for two months."""


async def find_forgetful(services: Services, schedules: Iterable[Planned], now: datetime) -> dict[str, str]:
    """Return a sentence for each schedule that would mail people again. Signs in only for those
    whose runs are that rare.
    """
    remember_s = services.ledger.remember_s
    told = {}
    for planned in schedules:
        schedule = planned.schedule
        if schedule.task != "invite_file" or not planned.enabled or schedule.connection is None:
            continue
        if not is_rarer(schedule, remember_s, now, find_zone(planned.zone)):
            continue
        for name in services.settings().members(schedule.connection)[:_ASKED]:
            if why := await _why_blind(services, name):
                told[schedule.name] = (
                    f"Schedule {schedule.name} mails everybody on its list again: its runs lie more than"
                    f" {remember_s / 86_400:g} days apart, for which usher remembers whom it invited"
                    f" ([ledger].remember), and connection {name} cannot look who is a guest already: {why}. Or make"
                    " remember longer than the time between two runs."
                )
                break
    return told


def is_rarer(schedule: Schedule, than_s: float, now: datetime, zone: tzinfo) -> bool:
    """Whether two runs in a row ever lie further apart than so many seconds. Pure."""
    if schedule.cron is None:
        return (schedule.every or 0) > than_s
    step, last = timedelta(seconds=than_s / 60), schedule.next_after(now, zone)
    for _ in range(_STEPS):
        due = schedule.next_after(last + step, zone)
        if (due - last).total_seconds() > than_s:
            while (between := schedule.next_after(last, zone)) < due:
                last = between
            if (due - last).total_seconds() > than_s:
                return True
        last = due
    return False


async def _why_blind(services: Services, name: str) -> str:
    """Say why the connection cannot look people up, and what would let it; '' where it can, or
    nobody can tell now.
    """
    try:
        connection = services.connection(name)
        if not connection.precheck:
            return "precheck is off, so set it to true"
        async with asyncio.timeout(_SIGN_IN_WITHIN_S):
            token = await services.tokens.get(connection)
    except (ConfigError, UsherError, TimeoutError):
        return ""
    return "" if may_try(token) else "the app may not read users, so grant User.Read.All"
