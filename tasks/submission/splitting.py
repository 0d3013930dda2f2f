"""A list that goes through several connections is split: each has the rows that name it, and those
of everybody: all rows, where none names a connection, else those that say `all`.

The rows lie in one nameless temporary file, each once, and a connection knows where its own begin:
a million rows and ten thousand connections stay out of memory.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from array import array
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import Final

from config.connections import ALL
from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, ValidRow, build_bad_row
from tasks.submit import keep_to

_SHOWN_BAD: Final = 1000  # bad rows kept to be reported; the rest are counted


def place(row: ValidRow | BadRow, connections: Container[str]) -> tuple[ValidRow | BadRow, str | None]:
    """Return a row as it goes on, and whose it is: a connection's, ALL where it says so, '' where
    it says nothing, or None for nobody. A bad one is told in the results of the connection that it
    names; where that is none of them it is nobody's, for no customer's results may tell of
    another's guests. Pure.
    """
    named = row.connection if isinstance(row, BadRow) else row.row.get(CONNECTION, "")
    if named and named in connections:
        return keep_to(row, named), named
    row = keep_to(row, known=connections)
    return row, None if isinstance(row, BadRow) else named


def refuse_unnamed(row: ValidRow) -> BadRow:
    """Return why a row goes nowhere that names no connection in a list where others do: an empty
    cell is an oversight, and would send one customer's guest into every customer's tenant. Pure.
    """
    reason = f"is empty, though other rows name one; `{ALL}` means every chosen one"
    return build_bad_row(row.row, row.number, row.line, CONNECTION, reason)


class Split(AbstractContextManager["Split"]):
    """The rows of a list by connection; the copy ends with the block. `rows` and `bad_count` count
    each row of the list once, through however many connections it goes; `nobodys_count` those that
    go nowhere.
    """

    def __init__(self, connections: Sequence[str]) -> None:
        self.connections = tuple(connections)
        self.rows = self.bad_count = self.nobodys_count = 0
        self.bad: list[BadRow] = []
        self._own = {name: array("Q") for name in self.connections}
        self._of_all = array("Q")
        self._nobodys = array("Q")
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the block

    def add_all(self, rows: Iterable[ValidRow | BadRow]) -> None:
        """Put all rows where they belong. Blocking, for as long as the list takes to be read."""
        unsaid, names = array("Q"), False
        for row in rows:
            row, whose = place(row, self._own)
            names = names or bool(whose or (isinstance(row, BadRow) and row.connection))
            if whose == "":
                unsaid.append(self._store(row))
            else:
                self.put(row, "" if whose == ALL else whose)
        if names:
            self._refuse(unsaid)
        else:
            self._of_all = array("Q", heapq.merge(self._of_all, unsaid))

    def _refuse(self, unsaid: array[int]) -> None:
        """Let rows that name no connection be nobody's."""
        self._nobodys = array("Q", heapq.merge(self._nobodys, unsaid))
        self.bad_count += len(unsaid)
        self.nobodys_count += len(unsaid)
        told = [*self.bad, *islice(self._read(unsaid), _SHOWN_BAD)]
        self.bad = sorted((_as_bad(row) for row in told), key=lambda row: row.number)[:_SHOWN_BAD]

    def put(self, row: ValidRow | BadRow, whose: str | None) -> None:
        """Put a row to a connection's, or, where that is '', to all of them; None: to nobody's."""
        places = self._nobodys if whose is None else self._own.get(whose, self._of_all)
        places.append(self._store(row))
        self.nobodys_count += whose is None

    def _store(self, row: ValidRow | BadRow) -> int:
        self.rows += 1
        if isinstance(row, BadRow):
            self.bad_count += 1
            if len(self.bad) < _SHOWN_BAD:
                self.bad.append(row)
        begins = self._file.tell()
        self._file.write(json.dumps((isinstance(row, BadRow), row)).encode() + b"\n")
        return begins

    @property
    def named(self) -> list[str]:
        """The connections that have rows of their own, likewise."""
        return [name for name in self.connections if self._own[name]]

    @property
    def asked(self) -> list[str]:
        """The connections that have rows, in the order in which they were chosen."""
        return [name for name in self.connections if self._of_all or self._own[name]]

    @property
    def through_all(self) -> int:
        """How many rows it makes: each counts as often as connections are asked for it."""
        return len(self._of_all) * len(self.connections) + sum(map(len, self._own.values()))

    def rows_of(self, connection: str) -> Iterator[ValidRow | BadRow]:
        """Return the rows of one connection in the list's order; several may be read at once."""
        return self._read(heapq.merge(self._own[connection], self._of_all))

    def nobodys(self) -> Iterator[BadRow]:
        """Return the bad rows that are no connection's."""
        return map(_as_bad, self._read(self._nobodys))

    def _read(self, places: Iterable[int]) -> Iterator[ValidRow | BadRow]:
        for begins in places:
            self._file.seek(begins)
            is_bad, values = json.loads(self._file.readline())
            yield BadRow(*values) if is_bad else ValidRow(*values)

    def named_rows(self) -> Iterator[ValidRow | BadRow]:
        """Yield the rows of every connection, each naming it."""
        for name in self.asked:
            for row in self.rows_of(name):
                if isinstance(row, BadRow):
                    yield row._replace(connection=name)
                else:
                    yield row._replace(row={**row.row, CONNECTION: name})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _as_bad(row: ValidRow | BadRow) -> BadRow:
    return row if isinstance(row, BadRow) else refuse_unnamed(row)
