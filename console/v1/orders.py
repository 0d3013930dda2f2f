"""An order is what somebody asks the API to do with a list: in JSON with its rows, as a form with a
file, or as a bare file with its options in the query. All three come to one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, NoReturn

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from config.notify import accept_from_message
from config.version import read_version
from console.access.viewer import Role, Viewer
from console.problems import Fault, Problem, find_faults
from console.v1.bodies import find_upload, gather, kind_of, open_file, read_form, read_json, read_stream
from tasks.errors import InputError
from tasks.lists.guest_list import GuestList
from tasks.lists.options import DELIMITER_NAMES, parse_said
from tasks.producers import note_refusal, notify_hosts
from tasks.rows.fields import FIELDS
from tasks.rows.named import NAMED, add_named, check_named
from tasks.rows.row import BadRow, ValidRow, validate_defaults, validate_record
from tasks.submission.request import Request
from worker.channels import INVITE
from worker.ledger.model import Options
from worker.ledger.notices import FROM_MESSAGE
from worker.masking import mask_text
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

    from worker.operations.operation import Operation
    from worker.services import Services

_BLOCK: Final = 1 << 20
MOST_ROWS: Final = 10_000
"""Rows in JSON; longer lists come as files."""
_READING: Final = ("delimiter", "encoding", "mapping", "sheet", "hidden", "header_line")
_DEFAULTS: Final = ("redirect_url", "message", "language", "send_message")
SEVERAL: Final = frozenset((*NAMED, "mapping"))
_EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LISTS: Final = (
    *("text/csv", "text/plain", "text/tab-separated-values", "application/x-ndjson", "application/jsonl"),
    *(_EXCEL, "application/octet-stream"),
)
_Names = Annotated[list[str], BeforeValidator(lambda value: _split(value))]


def _split(value: Any) -> Any:
    """Return names that a form or a query gives one by one, or with `;` between them."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [name.strip() for one in value for name in one.split(";") if name.strip()]
    return value


def _map(value: Any) -> Any:
    """Return a mapping that a form or a query gives as FIELD=HEADING, time and again."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        pairs = [one.partition("=") for one in value]
        if all(equals for _, equals, _ in pairs):
            return {name.strip(): heading.strip() for name, _, heading in pairs}
    return value


class Order(BaseModel):
    """What is to be done, and how. Fields that are left out are as `usher invite` has them."""

    model_config = ConfigDict(extra="forbid", str_max_length=5000)

    connection: str = Field(pattern=r"^[a-z0-9-]{1,64}$", description="Through which connection.")
    operation: str = Field(
        default=INVITE, max_length=64, description="What is done to these people: invite, remind, disable, …"
    )
    confirm: bool = Field(
        default=False,
        description="Must be true where an operation takes something away from guests (disable, delete, …).",
    )
    pilot: int | None = Field(default=None, ge=1, description="Send the first rows, so many, then pause.")
    most: int | None = Field(default=None, ge=0, description="Do it to at most so many guests; beyond that, to none.")
    strict: bool = Field(default=False, description="Accept nothing if any row is bad.")
    accept_bad: bool = Field(
        default=False, description="Accept the good rows even where more than 5 % (and more than 20 rows) are bad."
    )
    resend: bool = Field(default=False, description="Mail guests again who are in the tenant already.")
    redirect_url: str | None = Field(default=None, description="Where guests land, for rows that bring none.")
    message: str | None = Field(default=None, description="Words for the e-mail, for rows that bring none.")
    language: str | None = Field(default=None, description="Language of the e-mail, such as de-DE.")
    send_message: bool | None = Field(default=None, description="Whether guests get an e-mail.")
    sponsors: _Names = Field(default=[], description="Who answers for all of them: addresses, ids or names.")
    groups: _Names = Field(default=[], description="Groups that all of them join: names, ids or addresses.")
    teams: _Names = Field(default=[], description="Teams that all of them join.")
    notify: str | None = Field(default=None, description="Who is told when it is held or has ended: an https:// URL.")
    reason: str | None = Field(default=None, max_length=500, description="Why; shown with the job.")
    name: str | None = Field(default=None, max_length=200, description="What the list is called.")


class ListOrder(Order):
    """An order whose list is a file. How it is to be read is recognised where it is not said."""

    delimiter: str | None = Field(default=None, description="comma, semicolon, tab, bar, or the sign itself.")
    encoding: str | None = Field(default=None, description="Of a text, such as windows-1252.")
    mapping: Annotated[dict[str, str], BeforeValidator(_map)] = Field(
        default={}, description="Which column a field is read from: FIELD=HEADING, for each one."
    )
    sheet: str | None = Field(default=None, description="Of an Excel workbook.")
    hidden: str | None = Field(default=None, pattern="^(include|skip)$", description="What of hidden rows of a sheet.")
    header_line: int | None = Field(default=None, ge=1, description="The line that holds the headings.")


_ROW_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A guest. Only email must be there.",
    "required": ["email"],
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "string"} for name in FIELDS if name not in ("send_message", *NAMED)},
        "send_message": {"type": "boolean"},
        **{name: {"type": "array", "items": {"type": "string"}} for name in NAMED},
    },
}


class RowsOrder(Order):
    """An order with its rows. A row that cannot be sent ends failed, and the others go."""

    rows: Annotated[list[Any], WithJsonSchema({"type": "array", "items": _ROW_SCHEMA, "minItems": 1})] = Field(
        min_length=1, max_length=MOST_ROWS
    )


class FileOrder(ListOrder):
    """An order as a form."""

    list: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        description="The list: CSV, Excel (.xlsx) or JSON lines."
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """An order as it was taken: the request, and the digest of its rows or their file."""

    request: Request
    rows_digest: str = ""
    file: IO[bytes] | None = None

    def digest(self) -> str:
        """Return the digest of the list, read or not."""
        if self.file is None:
            return self.rows_digest
        self.file.seek(0)
        found = hashlib.sha256()
        while block := self.file.read(_BLOCK):
            found.update(block)
        return found.hexdigest()


@asynccontextmanager
async def take_order(
    http: HttpRequest, services: Services, viewer: Viewer, *, dry: bool = False
) -> AsyncIterator[Taken]:
    """Read an order; its list is open for as long as the block lasts. `dry`: nothing will be done.
    Raises `Problem`, and `InputError` for a list that cannot be read.
    """
    with ExitStack() as closing:
        kind = kind_of(http)
        if kind == "application/json":
            order: Order = _check(RowsOrder, await read_json(http))
            assert isinstance(order, RowsOrder)
            taken = _take_rows(order)
        elif kind == "multipart/form-data":
            form = await read_form(http)
            try:
                upload = find_upload(form)
                order = _check(ListOrder, gather(form.multi_items(), SEVERAL))
                taken = await _take_file(order, upload.file, _list_name(order.name or upload.filename), closing)
                yield await _complete(taken, order, services, viewer, dry=dry)
            finally:
                await form.close()
            return
        elif kind in _LISTS:
            order = _check(ListOrder, gather(http.query_params.multi_items(), SEVERAL))
            await check_bounds(services, viewer, order.connection, order.operation)  # before a list is read in vain
            file = closing.enter_context(open_file())
            await read_stream(http, file)
            taken = await _take_file(order, file, _list_name(order.name), closing)
        else:
            raise Problem(
                415,
                "Rows come as application/json, a list as multipart/form-data, or as a body of its own with its media"
                f" type ({', '.join(_LISTS)}). Nothing was accepted.",
            )
        yield await _complete(taken, order, services, viewer, dry=dry)


def _check(kind: type[Order], given: Mapping[str, Any]) -> Order:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = find_faults(error.errors(include_url=False, include_input=False))
        raise Problem(
            422, f"The order cannot be taken: {_first(faults)} Nothing was accepted.", errors=faults
        ) from None


def _first(faults: list[Fault]) -> str:
    first = faults[0]
    more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
    return f"{first.field}: {first.reason}{more}" if first.field else f"{first.reason}{more}"


def _take_rows(order: RowsOrder) -> Taken:
    rows = [validate_record(row, number) for number, row in enumerate(order.rows, 1)]
    name = _list_name(order.name, f"{len(rows)} row{'' if len(rows) == 1 else 's'} by HTTP")
    digest = hashlib.sha256(orjson.dumps(order.rows, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Taken(Request(order.connection, rows, name), digest)


async def _take_file(order: Order, file: Any, name: str, closing: ExitStack) -> Taken:
    assert isinstance(order, ListOrder)
    said = {key: value for key in _READING if (value := getattr(order, key))}
    if "delimiter" in said:
        said["delimiter"] = DELIMITER_NAMES.get(said["delimiter"], said["delimiter"])
    options = parse_said(said)
    # A workbook is taken apart before its first row: not on the loop that answers everybody
    guests = await asyncio.to_thread(_open, file, name, options)
    closing.callback(guests.close)
    return Taken(Request(order.connection, guests.rows(), name, guests=guests), file=file)


def _open(file: IO[bytes], name: str, options: Any) -> GuestList:
    return GuestList(file, name, path=name, options=options)


def _list_name(given: str | None, otherwise: str = "a list by HTTP") -> str:
    """Return what a list is called: the last part of its path, of characters that can be read."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:200].strip() or otherwise


async def _complete(taken: Taken, order: Order, services: Services, viewer: Viewer, *, dry: bool) -> Taken:
    """Fill in what all orders say alike."""
    await check_bounds(services, viewer, order.connection, order.operation)
    _check_order(order, services, viewer, dry=dry)
    request = taken.request
    try:
        job_wide = validate_defaults({name: getattr(order, name) for name in _DEFAULTS})
        named = check_named({column: getattr(order, column) for column in NAMED})
    except InputError as error:
        raise Problem(422, f"{error} Nothing was accepted.") from None
    request.operation, request.options = order.operation, Options(resend=order.resend, **job_wide)
    request.named = named
    if named:
        request.rows = add_named(request.rows, named)
    request.pilot, request.most = order.pilot or 0, order.most
    request.strict, request.accept_bad = order.strict, order.accept_bad
    request.info = {
        **viewer.to_info(),
        "list": request.name,
        "usher": read_version(),
        **_more_info(order, services, viewer),
    }
    if request.guests is not None and (said := request.guests.options.to_dict()):
        request.info["read"] = said
    if named:
        request.info["named"] = {column: [mask_text(name) for name in names] for column, names in named.items()}
    return taken


async def check_bounds(services: Services, viewer: Viewer, connection: str, operation: str) -> None:
    """Raise `Problem` for what is beyond a producer's bounds; the audit trail keeps it."""
    if refusal := viewer.refusal(connection, operation):
        await note_refusal(services, viewer.bound, refusal, connection=connection)
        raise Problem(403, f"{refusal} Nothing was accepted.")


def _check_order(order: Order, services: Services, viewer: Viewer, *, dry: bool) -> None:
    """Raise `Problem` for what this viewer may not ask for, or nobody."""
    if order.connection not in services.settings().connection_names:
        known = "" if viewer.producer else f" Known are: {', '.join(services.settings().connection_names)}."
        _refuse("connection", f"There is no connection {order.connection}.{known}")
    operation = OPERATIONS.get(order.operation)
    if operation is None or not _can_be_asked(operation):
        possible = sorted(name for name, one in OPERATIONS.items() if _can_be_asked(one))
        _refuse("operation", f"It is one of {', '.join(possible)}.")
    if not dry:
        check_consent(viewer, [operation], confirm=order.confirm)


def _can_be_asked(operation: Operation) -> bool:
    """Whether a list of people is all that it needs; who only looks gets rows of usher's own."""
    return operation.name == INVITE or (operation.alone and not operation.only_looks)


def check_consent(viewer: Viewer, operations: Sequence[Operation], *, confirm: bool) -> None:
    """Raise `Problem` where something would be taken away from guests that nobody has confirmed, or
    by somebody who may not.
    """
    for operation in operations:
        if not (operation.guarded or operation.only_looks):
            continue
        if not confirm:
            _refuse(
                "confirm",
                f"To {operation.name} may take something away from guests: POST /v1/dry-runs shows what it would do,"
                " and confirm: true does it.",
            )
        if viewer.producer is None and not viewer.can(Role.OPERATE):
            raise Problem(403, f"To {operation.name} guests needs the role {Role.OPERATE.word}; nothing was accepted.")


def _refuse(field: str, reason: str) -> NoReturn:
    raise Problem(422, f"{field}: {reason} Nothing was accepted.", errors=[Fault(field=field, reason=reason)])


def _more_info(order: Order, services: Services, viewer: Viewer) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if order.reason:
        told["reason"] = order.reason
    if order.notify:
        settings = services.settings()
        hosts = notify_hosts(settings, viewer.bound)
        try:
            target = accept_from_message(order.notify, hosts, signed=bool(settings.notify.secret))
        except ValueError as error:
            _refuse("notify", f"It {error}.")
        told |= {"notify": target, "notify_from": FROM_MESSAGE}
    return told


def rows_of(rows: list[BadRow]) -> list[Fault]:
    """Return bad rows as faults; nothing of what stood in their cells is repeated."""
    return [
        Fault(field=row.column, reason=f"{row.reason[:1].upper()}{row.reason[1:]}.", row=row.number, line=row.line)
        for row in rows
    ]


__all__ = ["FileOrder", "ListOrder", "Order", "RowsOrder", "Taken", "ValidRow", "rows_of", "take_order"]
