"""A list that goes through several connections is split: each has the rows that name it, and those
that name none.

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
from types import TracebackType
from typing import Final

from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, ValidRow
from tasks.submit import keep_to

_SHOWN_BAD: Final = 1000  # bad rows kept to be reported; the rest are counted


def place(row: ValidRow | BadRow, connections: Container[str]) -> tuple[ValidRow | BadRow, str | None]:
    """Return a row as it goes on, and whose it is: a connection's, '' for all of them, or None for
    nobody. A bad one is told in the results of the connection that it names; where that is none of
    them it is nobody's, for no customer's results may tell of another's guests. Pure.
    """
    named = row.connection if isinstance(row, BadRow) else row.row.get(CONNECTION, "")
    if named and named in connections:
        return keep_to(row, named), named
    row = keep_to(row, known=connections)
    return row, None if isinstance(row, BadRow) else ""


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
        for row in rows:
            self.add(row)

    def add(self, row: ValidRow | BadRow) -> None:
        """Put a row where it belongs."""
        self.put(*place(row, self._own))

    def put(self, row: ValidRow | BadRow, whose: str | None) -> None:
        """Put a row to a connection's, or, where that is '', to all of them; None: to nobody's."""
        self.rows += 1
        if isinstance(row, BadRow):
            self.bad_count += 1
            if len(self.bad) < _SHOWN_BAD:
                self.bad.append(row)
        self.nobodys_count += whose is None
        (self._nobodys if whose is None else self._own.get(whose, self._of_all)).append(self._file.tell())
        self._file.write(json.dumps((isinstance(row, BadRow), row)).encode() + b"\n")

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
        """Yield the rows of one connection in the list's order; several may be read at once."""
        for place in heapq.merge(self._own[connection], self._of_all):
            self._file.seek(place)
            is_bad, values = json.loads(self._file.readline())
            yield BadRow(*values) if is_bad else ValidRow(*values)

    def nobodys(self) -> Iterator[BadRow]:
        """Yield the bad rows that are no connection's."""
        for place in self._nobodys:
            self._file.seek(place)
            yield BadRow(*json.loads(self._file.readline())[1])

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
