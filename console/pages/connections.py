"""*Connections*: whether each may send, why not, how much of its quota is left, when its credential
ends; checked, held and reopened here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from config.connections import SANDBOX
from config.errors import ConfigError, UnknownConnection
from console.pages.page import Operating, Page, Viewing
from console.pages.waiting import tell_gate
from console.pages.wordings import N_
from console.problems import Problem
from tasks.checks.connection import check_connection
from tasks.connections import describe_connection, hold_connection, need_connection, reopen_connection
from tasks.errors import Refusal
from worker.metrics.snapshot import Observer

router = APIRouter(include_in_schema=False)
_SOON_DAYS: Final = 30
QUOTAS: Final = {
    "invitations": N_("invitations to this tenant"),
    "writes": N_("changes by this application here"),
    "writes-tenant": N_("changes by everybody here"),
    "writes-app": N_("changes by this application everywhere"),
    "units": N_("reads by this application here"),
    "units-app": N_("reads by this application everywhere"),
    "pace": N_("the connection's own pace"),
}
_STATES: Final = {"held": N_("held"), "slowed": N_("slowed down"), "open": N_("open")}


@router.get("/connections")
async def list_connections(page: Viewing) -> Response:
    """Show all connections."""
    return await _show(page)


@router.post("/connections/{name}/check")
async def check(page: Operating, name: str) -> Response:
    """Sign in, and say what works and what is missing."""
    _known(page, name)
    findings = await check_connection(page.services, name)
    return await _show(page, checked=name, findings=findings)


@router.post("/connections/{name}/hold")
async def hold(page: Operating, name: str, request: Request) -> Response:
    """Let a connection send nothing any more."""
    _known(page, name)
    reason = str((await request.form()).get("reason") or "")
    try:
        await hold_connection(page.services, name, reason)
    except Refusal as refusal:
        return await _show(page, refused=str(refusal), status=422)
    return page.go(f"/connections#{name}")


@router.post("/connections/{name}/reopen")
async def reopen(page: Operating, name: str) -> Response:
    """Lift a connection's hold."""
    _known(page, name)
    await reopen_connection(page.services, name)
    return page.go(f"/connections#{name}")


def _known(page: Page, name: str) -> None:
    try:
        need_connection(page.services.settings(), name)
    except UnknownConnection as error:
        raise Problem(404, str(error)) from None


async def _show(
    page: Page, *, checked: str = "", findings: list[Any] | None = None, refused: str = "", status: int = 200
) -> Response:
    services = page.services
    names = list(services.settings().connection_names) or [SANDBOX]
    snapshot = await _observer(page).look()
    shown = [await _describe(page, name, snapshot.connections.get(name)) for name in names]
    return page.show(
        "connections.html",
        status,
        connections=shown,
        checked=checked,
        findings=findings or [],
        refused=refused,
        flower=services.settings().console.flower_url,
    )


def _observer(page: Page) -> Observer:
    """Return the process's one observer, which remembers what has ended."""
    state = page.request.app.state
    if not hasattr(state, "observer"):
        state.observer = Observer(page.services.client, page.services.keys, page.services.settings)
    found: Observer = state.observer
    return found


async def _describe(page: Page, name: str, seen: Any) -> dict[str, Any]:
    gate = await page.services.gates.of(name)
    now = datetime.now(UTC)
    told = describe_connection(page.services, name, gate)
    state = "held" if gate.held else "slowed" if gate.closed_until else "open"
    wait = tell_gate(page, gate, now) if gate.held else ("", "", told["why"])
    ends_s = seen.credential_ends_s if seen else None
    days = round((ends_s - now.timestamp()) // 86_400) if ends_s else None
    levels = seen.levels if seen else {}
    try:
        connection = page.services.connection(name)
        mails, approval = connection.send_message, connection.require_approval
    except ConfigError:
        mails, approval = True, False
    return {
        **told,
        "state": state,
        "state_text": page.say(_STATES[state]),
        "since": gate.since if gate.held else None,
        "meaning": wait[1],
        "words": wait[2],
        "days_left": days,
        "soon": days is not None and days < _SOON_DAYS,
        "mails": mails,
        "approval": approval,
        "quota": [
            (page.say(QUOTAS.get(kind, kind)), round(level.limit - level.tokens), round(level.limit))
            for kind, level in levels.items()
        ],
    }
