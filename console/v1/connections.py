"""Connections: how their gates stand, whether they work, and holding and reopening them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from config.errors import UnknownConnection, list_known
from console.access.need import Operating, Viewing
from console.access.viewer import Viewer
from console.parts import PartsOf
from console.problems import Problem
from console.v1.answers import PROBLEMS, answer
from tasks.checks.connection import check_connection
from tasks.connections import NO_REASON, describe_connection, hold_connection, need_connection, reopen_connection
from worker.ledger.gates import Gate

router = APIRouter(prefix="/v1", tags=["connections"], responses=PROBLEMS)
ConnectionName = Annotated[str, Path(alias="name", pattern=r"^[a-z0-9-]{1,64}$", description="A connection's name.")]
_FOR_PEOPLE: Final = "Connections are not for producers: whoever operates usher looks after them."


class Connection(BaseModel):
    """A connection and its gate, without any secret."""

    connection: str = Field(description="Its name.")
    tags: list[str] = Field(description="What it is chosen by, beside its name.")
    tenant: str = Field(description="The tenant's id.")
    client: str = Field(description="The application's id.")
    cloud: str
    credential: str = Field(description="What kind, never which.")
    pace: str
    gate: str = Field(description="In words: open, slowed down, held since …")
    why: str = Field(description="Why it is not open, and who has to do what.")
    held: bool
    closed_until: datetime | None = Field(default=None, description="Set while Microsoft has us wait.")


class Connections(BaseModel):
    """All connections."""

    connections: list[Connection]


class Finding(BaseModel):
    """One thing that was looked at. `ok` false: somebody has to do something."""

    ok: bool
    what: str
    optional: bool = Field(description="Nothing needs it.")


class Check(BaseModel):
    """What a check came to."""

    connection: str
    ok: bool
    findings: list[Finding]


class Hold(BaseModel):
    """Why a connection is held."""

    reason: str = Field(default=NO_REASON, min_length=1, max_length=500, pattern=r"\S")


@router.get(
    "/connections", summary="List connections", operation_id="listConnections", responses={200: {"model": Connections}}
)
async def list_connections(parts: PartsOf, viewer: Viewing) -> Response:
    """List all connections with their gates; a producer's are those that it may use."""
    services = parts.services
    names = [name for name in services.settings().connection_names if not viewer.refusal(name)]
    gates = await services.gates.of_many(names)
    told = [_describe(describe_connection(services, name, gate), gate) for name, gate in gates.items()]
    return answer({"connections": told})


def _describe(words: dict[str, Any], gate: Gate) -> dict[str, Any]:
    until = {"closed_until": gate.closed_until} if gate.closed_until else {}
    return {**words, "held": gate.held, **until}


@router.post(
    "/connections/{name}/check",
    summary="Check a connection",
    operation_id="checkConnection",
    responses={200: {"model": Check}},
)
async def check(parts: PartsOf, viewer: Operating, name: ConnectionName) -> Response:
    """Sign in, look at the app's permissions and the tenant's rules. Nothing is changed."""
    _find(parts, viewer, name)
    async with parts.readings.turn():
        findings = await check_connection(parts.services, name)
    told = [{"ok": one.ok, "what": one.what, "optional": one.optional} for one in findings]
    return answer({"connection": name, "ok": all(one.ok for one in findings), "findings": told})


@router.post(
    "/connections/{name}/hold",
    summary="Hold a connection",
    operation_id="holdConnection",
    responses={200: {"model": Connection}},
)
async def hold(parts: PartsOf, viewer: Operating, name: ConnectionName, why: Hold | None = None) -> Response:
    """Let a connection send nothing any more, until somebody reopens it."""
    _find(parts, viewer, name)
    await hold_connection(parts.services, name, why.reason if why else NO_REASON)
    return await _answer(parts, name)


@router.post(
    "/connections/{name}/reopen",
    summary="Reopen a connection",
    operation_id="reopenConnection",
    responses={200: {"model": Connection}},
)
async def reopen(parts: PartsOf, viewer: Operating, name: ConnectionName) -> Response:
    """Lift a connection's hold, and the block of its tenant with it."""
    _find(parts, viewer, name)
    await reopen_connection(parts.services, name)
    return await _answer(parts, name)


def _find(parts: PartsOf, viewer: Viewer, name: str) -> None:
    if viewer.producer is not None:
        raise Problem(403, _FOR_PEOPLE)
    settings = parts.services.settings()
    try:
        need_connection(settings, name)
    except UnknownConnection:
        told = f"There is no connection {name}; {list_known(name, settings.connection_names)}."
        raise Problem(404, told) from None


async def _answer(parts: PartsOf, name: str) -> Response:
    gate = await parts.services.gates.of(name)
    return answer(_describe(describe_connection(parts.services, name, gate), gate))
