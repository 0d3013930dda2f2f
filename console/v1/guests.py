"""The guests of a tenant, streamed: whole, or a problem."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from config.errors import list_known
from config.values import LONGEST_S, parse_seconds
from console.access.need import Viewing
from console.faults import Fault
from console.parts import PartsOf
from console.problems import Problem
from console.v1.answers import PROBLEMS
from tasks.guests.listing import GuestListing, columns_of
from tasks.guests.reading import Meant, read_listing
from tasks.results.table import Table, TableRow, outcome_cells, write_table
from worker.graph.guests import Also

router = APIRouter(prefix="/v1", tags=["guests"], responses=PROBLEMS)
_BLOCK: Final = 500
_AGE: Final = r"^[1-9][0-9]{0,5}[smhd]$"
_TYPES: Final = {"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_Age = Annotated[str | None, Query(pattern=_AGE, description="An age: 30d, 12h.")]


class GuestDocument(BaseModel):
    """A guest as the tenant shows them."""

    id: str
    email: str
    display_name: str | None
    state: str = Field(description="pending, accepted or unknown.")
    state_since: str | None
    created: str | None
    enabled: bool | None
    sponsors: list[str] | None = Field(default=None, description="Where asked for.")
    last_sign_in: str | None = Field(default=None, description="Where asked for, and permitted.")


class Guests(BaseModel):
    """Guests."""

    guests: list[GuestDocument]
    warnings: list[str] = Field(description="What could not be read, as sentences.")


@router.get(
    "/guests",
    summary="List guests",
    operation_id="listGuests",
    responses={
        200: {
            "model": Guests,
            "content": {kind.partition(";")[0]: {} for kind in _TYPES.values() if "json" not in kind},
        }
    },
)
async def list_guests(
    parts: PartsOf,
    viewer: Viewing,
    connection: Annotated[str, Query(pattern=r"^[a-z0-9-]{1,64}$", description="Of which connection's tenant.")],
    state: Annotated[Literal["pending", "accepted", "unknown"] | None, Query()] = None,
    invited_before: _Age = None,
    inactive: _Age = None,
    domain: Annotated[str | None, Query(max_length=253, description="With its subdomains.")] = None,
    no_sponsor: bool = False,
    enabled: bool | None = None,
    more: Annotated[list[Literal["sponsors", "last_sign_in"]] | None, Query(description="Columns besides.")] = None,
    limit: Annotated[int | None, Query(ge=1, le=10_000_000, description="How many at most.")] = None,
    form: Annotated[Literal["json", "jsonl", "csv"], Query(alias="format")] = "json",
) -> Response:
    """List the guests of a tenant, as `usher guests list` does. Nothing is changed. The tenant is
    read to the end first, so that what comes is all of it.
    """
    if viewer.producer is not None:
        raise Problem(403, "guests: they are not shown to producers.")
    known = parts.services.settings().connection_names
    if connection not in known:
        reason = f"There is no connection {connection}; {list_known(connection, known)}."
        raise Problem(422, reason, errors=[Fault(field="connection", reason=reason)])
    ages = {"invited_before": invited_before, "inactive": inactive}
    meant = Meant(
        state or "",
        domain=domain or "",
        without_sponsor=no_sponsor,
        enabled=enabled,
        **{name: _read_age(text) for name, text in ages.items() if text},
    )
    async with AsyncExitStack() as closing:
        await closing.enter_async_context(parts.readings.turn())
        found = await parts.services.resolved(connection)
        choice = await meant.choose(parts.services)
        also = choice.needs | {Also(column) for column in more or ()}
        listing = closing.enter_context(GuestListing(columns_of(also)))
        read = await read_listing(parts.services, found, choice, also, limit, listing)
        kept = closing.pop_all()
    headers = {"Cache-Control": "private, no-store"}
    return StreamingResponse(_write(form, listing, read.warnings, kept), 200, headers, _TYPES[form])


def _read_age(text: str) -> timedelta:
    """Return an age; one of more than ten years is ten years."""
    try:
        return timedelta(seconds=parse_seconds(text))
    except ValueError:
        return timedelta(seconds=LONGEST_S)


async def _write(
    form: str, listing: GuestListing, warnings: Sequence[str], closing: AsyncExitStack
) -> AsyncIterator[bytes]:
    async with closing:
        rows: Iterator[dict[str, Any]] = listing.rows()
        if form == "csv":
            yield _csv([listing.columns], [], listing.columns)
        if form == "json":
            yield b'{"guests":['
        comma = b""
        while block := [*islice(rows, _BLOCK)]:
            if form == "csv":
                yield _csv([], block, listing.columns)
            elif form == "jsonl":
                yield b"".join(orjson.dumps(row) + b"\n" for row in block)
            else:
                yield comma + b",".join(map(orjson.dumps, block))
                comma = b","
        if form == "json":
            yield b'],"warnings":' + orjson.dumps(warnings) + b"}"


def _csv(top: list[tuple[str, ...]], rows: list[dict[str, Any]], columns: tuple[str, ...]) -> bytes:
    text = io.StringIO(newline="")
    write_table(Table(top, (TableRow("", outcome_cells(row, columns)) for row in rows)), text)
    return text.getvalue().encode("utf-8", "replace")
