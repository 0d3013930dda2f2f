"""*Guests*: whom a tenant has, who has accepted, and what is done to those who are ticked, after a
look at what would become of each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from config.connections import SANDBOX
from config.errors import ConfigError
from config.values import fold_domain, is_guid, parse_seconds
from config.version import read_version
from console.access.viewer import Role
from console.pages.changing import look_at_change
from console.pages.page import Page, Submitting, Viewing
from console.pages.wordings import N_
from console.problems import Problem
from tasks.errors import ListError, Refusal
from tasks.guests.choice import Choice
from tasks.guests.funnel import By, Funnel
from tasks.rows.row import BadRow, ValidRow, validate_record
from tasks.submission.preparing import Prepared, prepare
from tasks.submission.request import Request as Asked
from tasks.submit import drop, new_job_id, start
from worker.directory.guests import GuestReader
from worker.errors import UsherError
from worker.graph.guests import Also, Guest, GuestState
from worker.operations.registry import OPERATIONS
from worker.store.client import read_time_ms

router = APIRouter(include_in_schema=False)

CHANGES: Final = ("remind", "reset", "enable", "disable", "delete")
"""What a page offers to do to guests, as far as this usher has the operation."""
GRAVE: Final = ("disable", "delete")
_SHOWN: Final = 200
_WITHIN_S: Final = 15.0
"""Nobody waits longer for a page: what was read until then is shown, and the page says so."""
_PARTS: Final = 12
"""Weeks, or domains, that the funnel shows one by one."""
_AGES: Final = ("1d", "7d", "14d", "30d", "60d", "90d", "180d", "365d")


@dataclass(slots=True)
class Listing:
    """Guests that were looked for. `read`: looked at, of `total` where Graph says how many there
    are; `funnel`: of all that were looked at.
    """

    shown: list[Guest] = field(default_factory=list)
    found: int = 0
    read: int = 0
    total: int | None = None
    whole: bool = True
    funnel: Funnel = field(default_factory=lambda: Funnel(By.WEEK))


@router.get("/guests")
async def list_guests(page: Viewing, request: Request) -> Response:
    """Show a tenant's guests."""
    return await _show(page, dict(request.query_params))


@router.post("/guests/look")
async def look(page: Submitting, request: Request) -> Response:
    """Show what would become of the guests who are ticked."""
    form = await request.form()
    name, operation = str(form.get("connection") or ""), str(form.get("operation") or "")
    guests = [text for text in form.getlist("guest") if isinstance(text, str)][:_SHOWN]
    if not guests:
        return await _show(page, {"connection": name}, page.say(_NOBODY), 422)
    try:
        prepared = await _prepare(page, name, operation, guests, new_job_id(), dry=True)
        try:
            seen = await look_at_change(page.services, prepared)
        finally:
            await drop(page.services.jobs, prepared.loaded)
    except (Refusal, ListError, ConfigError, UsherError) as error:
        return await _show(page, {"connection": name}, str(error), 409)
    hidden = [("connection", name), ("operation", operation), *(("guest", guest) for guest in guests)]
    return page.show(
        "change.html",
        operation=operation,
        action="/guests/do",
        hidden=hidden,
        back=f"/guests?connection={name}",
        seen=seen,
        grave=operation in GRAVE,
        needs_approval=prepared.connection.require_approval,
    )


@router.post("/guests/do")
async def do(page: Submitting, request: Request) -> Response:
    """Do it, as a job."""
    form = await request.form()
    name, operation = str(form.get("connection") or ""), str(form.get("operation") or "")
    guests = [text for text in form.getlist("guest") if isinstance(text, str)][:_SHOWN]
    job = new_job_id()
    try:
        await page.parts.follow(job)
        prepared = await _prepare(page, name, operation, guests, job, dry=False)
    except (Refusal, ListError, ConfigError, UsherError) as error:
        return await _show(page, {"connection": name}, str(error), 409)
    await start(page.services.jobs, prepared.loaded)
    return page.go(f"/jobs/{job}")


async def _prepare(page: Page, name: str, operation: str, guests: Sequence[str], job: str, *, dry: bool) -> Prepared:
    """Load the guests who are ticked. Raises `Refusal` and what `prepare` raises."""
    if operation not in CHANGES or operation not in OPERATIONS:
        raise Problem(404, "There is no such change.")
    if operation in GRAVE and not page.viewer.can(Role.OPERATE):
        raise Problem(403, f"To {operation} guests needs the role {Role.OPERATE.word}; nothing was done.")
    if refusal := page.viewer.refusal(name, operation):
        raise Refusal(refusal)
    info = {**page.viewer.to_info(), "list": page.say(_TICKED), "usher": read_version()}
    rows = [_read_row(number, text) for number, text in enumerate(guests, 1)]
    return await prepare(page.services, Asked(name, rows, page.say(_TICKED), operation, info=info), job, dry=dry)


def _read_row(number: int, text: str) -> ValidRow | BadRow:
    """Return the row of a guest who was ticked: by their address and their id."""
    guest_id, _, email = text.partition(" ")
    row = validate_record({"email": email}, number)
    if isinstance(row, ValidRow) and is_guid(guest_id):
        row.row["user_id"] = guest_id.lower()
    return row


async def _show(page: Page, said: Mapping[str, str], refused: str = "", status: int = 200) -> Response:
    names = list(page.services.settings().connection_names) or [SANDBOX]
    name = said.get("connection", "")
    listing, by = None, By.DOMAIN if said.get("by") == By.DOMAIN.value else By.WEEK
    if name in names and not refused:
        try:
            async with page.parts.readings.turn():
                listing = await _read(page, name, await _choose(page, said), by)
        except (ValueError, ConfigError, UsherError) as error:
            refused, status = str(error), 422
    may = page.viewer.can(Role.OPERATE)
    offered = [one for one in CHANGES if one in OPERATIONS and (may or one not in GRAVE)]
    return page.show(
        "guests.html",
        status,
        connections=[(one, one) for one in names],
        said=dict.fromkeys(("state", "domain", "invited_before", "inactive", "enabled", "no_sponsor", "by"), "")
        | dict(said),
        name=name or names[0],
        listing=listing,
        refused=refused,
        most=_SHOWN,
        by=by.value,
        funnel=[*listing.funnel.rows(_PARTS)] if listing else [],
        offered=offered,
        grave=GRAVE,
        ages=[(age, page.forms.span(parse_seconds(age))) for age in _AGES],
    )


async def _choose(page: Page, said: Mapping[str, str]) -> Choice:
    """Return which guests are meant; ages count on Redis's clock. Raises `ValueError`."""
    now = datetime.fromtimestamp(await read_time_ms(page.services.client) / 1000, UTC)

    def ago(name: str) -> datetime | None:
        age = said.get(name, "")
        return now - timedelta(seconds=parse_seconds(age)) if age else None

    state, enabled = said.get("state", ""), said.get("enabled", "")
    return Choice(
        state=GuestState(state) if state in list(GuestState) else None,
        invited_before=ago("invited_before"),
        inactive_since=ago("inactive"),
        domain=fold_domain(said.get("domain", "").strip().lstrip("@")),
        without_sponsor=bool(said.get("no_sponsor")),
        enabled={"yes": True, "no": False}.get(enabled),
    )


async def _read(page: Page, name: str, choice: Choice, by: By) -> Listing:
    """Read guests until all are read, or nobody would wait longer. Raises `UsherError`."""
    connection = await page.services.resolved(name)
    listing, dated = Listing(funnel=Funnel(by)), False
    until_s = time.monotonic() + _WITHIN_S
    pages = GuestReader(page.services, connection).pages(choice.needs)
    async with aclosing(pages):
        async for one in pages:
            if one.begins:
                listing = Listing(funnel=Funnel(by))
            listing.total = one.total
            for guest in one.guests:
                listing.read += 1
                listing.funnel.add(guest)
                dated = dated or guest.signed_in_at is not None
                if choice.takes(guest):
                    listing.found += 1
                    if len(listing.shown) < _SHOWN:
                        listing.shown.append(guest)
            if time.monotonic() > until_s:
                listing.whole = listing.total is not None and listing.read >= listing.total
                break
            await asyncio.sleep(0)
    if Also.SIGN_INS in choice.needs and listing.read and not dated:
        raise ValueError(page.say(_NO_DATES))
    return listing


_NOBODY: Final = N_("Tick somebody first.")
_TICKED: Final = N_("ticked guests")
_NO_DATES: Final = N_(
    "This tenant shows nobody's date of signing in (that needs Entra ID P1 or P2), so who is inactive cannot be told."
)
