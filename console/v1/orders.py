"""An order is what somebody asks the API to do with a list: in JSON with its rows, as a form with a
file, or as a bare file with its options in the query. All three come to one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final

import orjson
from pydantic import ValidationError

from config.notify import accept_from_message
from config.version import read_version
from console.access.viewer import Viewer
from console.faults import Fault, find_faults
from console.problems import Problem
from console.v1.bodies import find_upload, gather, kind_of, open_file, read_form, read_json, read_stream
from console.v1.consent import check_order, choose_connections, refuse_field
from console.v1.fields import as_fields
from console.v1.order import SEVERAL, ListOrder, Order, RowsOrder
from tasks.errors import InputError, ListError
from tasks.lists.guest_list import GuestList
from tasks.lists.options import DELIMITER_NAMES, parse_said
from tasks.producers import notify_hosts
from tasks.rows.named import NAMED, add_named, check_named
from tasks.rows.row import BadRow, validate_defaults, validate_record
from tasks.submission.request import Request
from worker.ledger.model import Options
from worker.ledger.notices import FROM_MESSAGE
from worker.masking import mask_text

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

    from console.parts import Parts
    from worker.services import Services

_BLOCK: Final = 1 << 20
_READING: Final = ("delimiter", "encoding", "mapping", "sheet", "hidden", "header_line")
_DEFAULTS: Final = ("redirect_url", "message", "language", "send_message")
_EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LISTS: Final = (
    *("text/csv", "text/plain", "text/tab-separated-values", "application/x-ndjson", "application/jsonl"),
    *(_EXCEL, "application/octet-stream"),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """An order as it was taken: the request, and the digest of its rows or their file. `chosen`: of
    a submission, the connections that are meant.
    """

    request: Request
    rows_digest: str = ""
    chosen: Sequence[str] = ()
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
async def take_order(http: HttpRequest, parts: Parts, viewer: Viewer, *, dry: bool = False) -> AsyncIterator[Taken]:
    """Read an order; its list is open for as long as the block lasts. `dry`: nothing will be done.
    Raises `Problem`, and `InputError` for a list that cannot be read.

    Its turn among all lists comes when its body is there: who sends slowly keeps no place.
    """
    services, kind = parts.services, kind_of(http)
    async with parts.bodies.turn(viewer.actor), AsyncExitStack() as closing:
        closing.enter_context(_faults_of_lists_told())
        if kind == "application/json":
            order: Order = _check(RowsOrder, await read_json(http))
            assert isinstance(order, RowsOrder)
            await closing.enter_async_context(parts.loads.turn())
            taken = _take_rows(order)
        elif kind == "multipart/form-data":
            form = await read_form(http)
            closing.push_async_callback(form.close)
            upload = find_upload(form)
            order = _check(ListOrder, gather(form.multi_items(), SEVERAL))
            chosen = choose_connections(services, viewer, order)
            await closing.enter_async_context(parts.loads.turn())
            listed = _list_name(order.name or upload.filename)
            taken = await _take_file(order, chosen, upload.file, listed, closing)
        elif kind in _LISTS:
            order = _check(ListOrder, gather(http.query_params.multi_items(), SEVERAL))
            chosen = choose_connections(services, viewer, order)  # before a list is read in vain
            file = closing.enter_context(open_file())
            await read_stream(http, file)
            await closing.enter_async_context(parts.loads.turn())
            taken = await _take_file(order, chosen, file, _list_name(order.name), closing)
        else:
            raise Problem(
                415,
                "Rows come as application/json, a list as multipart/form-data, or as a body of its own with its media"
                f" type ({', '.join(_LISTS)}). Nothing was accepted.",
            )
        yield await _complete(taken, order, services, viewer, dry=dry)


@contextmanager
def _faults_of_lists_told() -> Iterator[None]:
    """Have why a list cannot be read told in the words of the API, and that nothing of it was
    accepted.
    """
    try:
        yield
    except ListError as error:
        told = as_fields(str(error))
        raise Problem(422, told if "othing " in told else f"{told} Nothing was accepted.") from None


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
    return Taken(Request(order.through, rows, name), digest)


async def _take_file(order: Order, chosen: Sequence[str], file: Any, name: str, closing: AsyncExitStack) -> Taken:
    assert isinstance(order, ListOrder)
    said = {key: value for key in _READING if (value := getattr(order, key))}
    if "delimiter" in said:
        said["delimiter"] = DELIMITER_NAMES.get(said["delimiter"], said["delimiter"])
    options = parse_said(said).through(chosen)
    # A workbook is taken apart before its first row: not on the loop that answers everybody
    guests = await asyncio.to_thread(_open, file, name, options)
    closing.callback(guests.close)
    return Taken(Request(order.through, guests.rows(), name, guests=guests), file=file)


def _open(file: IO[bytes], name: str, options: Any) -> GuestList:
    return GuestList(file, name, path=name, options=options)


def _list_name(given: str | None, otherwise: str = "a list by HTTP") -> str:
    """Return what a list is called: the last part of its path, of characters that can be read."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:200].strip() or otherwise


async def _complete(taken: Taken, order: Order, services: Services, viewer: Viewer, *, dry: bool) -> Taken:
    """Fill in what all orders say alike."""
    chosen = choose_connections(services, viewer, order)
    check_order(order, viewer, dry=dry)
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
    return replace(taken, chosen=chosen) if order.is_submission else taken


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
            refuse_field("notify", f"It {error}.", beyond=True)
        told |= {"notify": target, "notify_from": FROM_MESSAGE}
    return told


def rows_of(rows: list[BadRow]) -> list[Fault]:
    """Return bad rows as faults; nothing of what stood in their cells is repeated."""
    return [
        Fault(field=row.column, reason=f"{row.reason[:1].upper()}{row.reason[1:]}.", row=row.number, line=row.line)
        for row in rows
    ]
