"""*Audit*: who did what, newest first. Never an address."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from console.pages.page import Viewing
from worker.ledger.audit.trail import KINDS, event_line

router = APIRouter(include_in_schema=False)
_SHOWN: Final = 200
_DAYS: Final = {"1": 1, "7": 7, "30": 30, "365": 365}
_DIGEST: Final = 64
_APART: Final = ("at", "what", "by", "job", "connection", "guest")


def _plain(value: Any) -> str:
    """Return a fact as people read it: counts that are not zero, and of a digest its beginning."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items() if one)
    text = str(value)
    return f"{text[:12]}…" if len(text) == _DIGEST and text.isalnum() else text


@router.get("/audit")
async def show_trail(page: Viewing, request: Request) -> Response:
    """Show the newest entries that are looked for."""
    said = request.query_params
    days, job = said.get("days", "7"), said.get("job", "").strip()[:40]
    connection, what = said.get("connection", ""), said.get("what", "")
    since = datetime.now(UTC) - timedelta(days=_DAYS.get(days, 7))
    newest: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
    async for event in page.services.trail.events(since, None):
        line = event_line(event)
        is_theirs = not job or line.get("job") == job
        is_there = not connection or line.get("connection") == connection
        if is_theirs and is_there and (not what or line["what"] == what):
            newest.append(line)
    entries = [
        {
            **line,
            "at": datetime.fromisoformat(line["at"]),
            "facts": [(name, _plain(text)) for name, text in line.items() if name not in _APART and text],
        }
        for line in reversed(newest)
    ]
    return page.show(
        "audit.html",
        entries=entries,
        most=_SHOWN,
        kept=bool(page.services.trail.keep_ms),
        kinds=[(kind, kind) for kind in KINDS if kind != "row"],
        connections=[(name, name) for name in page.services.settings().connection_names],
        days=days if days in _DAYS else "7",
        job=job,
        connection=connection,
        what=what,
    )
