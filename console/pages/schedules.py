"""*Schedules*: what runs by itself, when it runs next, and how it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from console.pages.page import Operating, Page, Viewing
from console.problems import Problem
from tasks.telling.rounds import recall_runs
from worker.ledger.timetable import Timetable, switch

router = APIRouter(include_in_schema=False)
_SHOWN_RUNS: Final = 5


@router.get("/schedules")
async def list_schedules(page: Viewing) -> Response:
    """Show all schedules with their last runs."""
    timetable, settings = _timetable(page), page.services.settings()
    shown = []
    for one in (await timetable.planned(settings, datetime.now(UTC))).values():
        runs, standing = await recall_runs(timetable, settings, one, _SHOWN_RUNS)
        shown.append({"planned": one, "runs": runs, "standing": standing})
    return page.show("schedules.html", schedules=shown, beat=await timetable.has_beat(), at=_instant)


@router.post("/schedules/{name}/{turn}")
async def turn(page: Operating, name: str, turn: str) -> Response:
    """Let a schedule fire no more, or again."""
    timetable, now = _timetable(page), datetime.now(UTC)
    planned = (await timetable.planned(page.services.settings(), now)).get(name)
    if planned is None or turn not in ("off", "on"):
        raise Problem(404, "There is no such schedule.")
    await timetable.put(switch(planned, off=turn == "off", now=now))
    await page.services.trail.note("schedule.disabled" if turn == "off" else "schedule.enabled", schedule=name)
    return page.go(f"/schedules#{name}")


def _timetable(page: Page) -> Timetable:
    return Timetable(page.services.client, page.services.keys)


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
