"""`invite_file` makes a job of a list, from a file or from an https address. The index skips
whoever was invited before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain

from config.connections import ALL
from tasks.errors import InputError
from tasks.lists.guest_list import GuestList
from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, ValidRow, validate_defaults
from tasks.scheduled.context import Context, Told
from tasks.scheduled.load_list import find_started, submit
from tasks.scheduled.named_list import open_named
from tasks.scheduled.waiting import Waiting
from tasks.submission.splitting import place, refuse_unnamed
from tasks.telling.words import many
from worker.ledger.model import Options

_OPTIONS = ("redirect_url", "message", "language", "send_message")


async def run(context: Context) -> Told:
    """Read the list and start its job. Raises `ListError`, `ConfigError` with a sentence."""
    job = context.job
    if await find_started(context, job) is not None:
        return Told(f"Job {job} was started.", jobs=(job,))
    args = context.schedule.args
    options = Options(**validate_defaults({name: args[name] for name in _OPTIONS if name in args}))
    with ExitStack() as closing:
        guests, name = await open_named(context, closing)
        rows, own = guests.rows(), None
        if context.among is not None:
            own = OwnRows(context.connection.name, context.among, rows, lambda: _names_connections(guests))
            rows = own.strictly(name) if args.get("strict") else iter(own)
            first = next(rows, None)
            if first is None and own.read:
                return _tell(Told(f"No row of {name} is for {context.connection.name}."), own)
            rows = rows if first is None else chain((first,), rows)
        waiting = await Waiting.find(context.services, context.connection)
        told = await submit(
            context,
            job,
            waiting.met_by(rows),
            name=name,
            options=options,
            info={},
            strict=bool(args.get("strict")),
            guests=guests,
        )
        if more := waiting.tell(job):
            told = replace(told, what=f"{told.what}{more}", status="attention")
        return _tell(told, own) if own is not None else told


def _names_connections(guests: GuestList) -> bool:
    return any(field == CONNECTION for field, _ in guests.reader.read)


def _tell(told: Told, own: OwnRows) -> Told:
    if not own.nobodys:
        return told
    names = "names" if own.nobodys == 1 else "name"
    where = f"{names} no connection of the schedule's: nothing was done with it."
    return replace(told, what=f"{told.what} {many(own.nobodys, 'row')} of the list {where}", status="attention")


class OwnRows:
    """The rows of a list for several connections that go through one: those that name it, and those
    that name none. `read`: rows of the list so far, `bad` ones among them; `nobodys` of these name
    a connection that is none of them, or none where `names` says that others of several do: they
    are told of in the run of the first, without a row.
    """

    def __init__(
        self,
        connection: str,
        among: Sequence[str],
        rows: Iterable[ValidRow | BadRow],
        names: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connection = connection
        self._names = names
        self._among = dict.fromkeys(among)
        self._rows = rows
        self.read = self.bad = self.nobodys = 0

    def strictly(self, name: str) -> Iterator[ValidRow | BadRow]:
        """Yield them where every row of the list is good, whosever it is; at the end raise
        `InputError` where one is not.
        """
        yield from self
        if self.bad:
            raise InputError(
                f"{many(self.bad, 'row')} of {name} cannot be sent, and the schedule is strict; nothing was sent."
            )

    def __iter__(self) -> Iterator[ValidRow | BadRow]:
        """Yield them in the list's order."""
        is_first = next(iter(self._among), self._connection) == self._connection
        for row in self._rows:
            self.read += 1
            row, whose = place(row, self._among)
            if whose == "" and isinstance(row, ValidRow) and len(self._among) > 1 and self._names():
                row, whose = refuse_unnamed(row), None
            self.bad += isinstance(row, BadRow)
            is_told = isinstance(row, BadRow) and bool(row.connection or row.column == CONNECTION)
            self.nobodys += is_first and whose is None and is_told
            if whose in ("", ALL, self._connection) or (whose is None and is_first and not is_told):
                yield row
