"""A list may be the truth about several tenants: then each row says by its `connection` whose guest
it is.

A row that does not is nobody's, and so it cannot be read: whoever it is may be anybody's guest, and
nobody is taken away on its account. That holds for a list without such a column as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, ValidRow, build_bad_row
from tasks.submit import keep_to


def find_owner(row: ValidRow | BadRow, configured: Container[str]) -> tuple[ValidRow | BadRow, str]:
    """Return a row, and the connection whose guest it is; '' where nobody can tell, and it is a bad
    one then. `configured`: connections that rows may name. Pure.
    """
    named = row.connection if isinstance(row, BadRow) else row.row.get(CONNECTION, "")
    if named and named in configured:
        return keep_to(row, named), named
    if isinstance(row, BadRow):
        return row, ""
    reason = "must name a connection that is configured, for this list is of several"
    return build_bad_row(row.row, row.number, row.line, CONNECTION, reason), ""


def keep_own(
    rows: Iterable[ValidRow | BadRow],
    connection: str,
    configured: Container[str],
    left_out: Callable[[], None] = lambda: None,
) -> Iterator[ValidRow | BadRow]:
    """Yield the rows of a list for a single connection: those that name none are its own, too, and
    each that names another is left out (`left_out` is told).
    """
    for row in rows:
        named = row.connection if isinstance(row, BadRow) else row.row.get(CONNECTION, "")
        if named in ("", connection):
            yield keep_to(row, connection)
        elif named in configured:
            left_out()
        else:
            yield find_owner(row, configured)[0]


def tell_unnamed(name: str) -> str:
    """Return the sentence about a list of this name of which no row says whose it is."""
    return (
        f"{name} does not say in a column `connection` whose guests its rows are, and it is for several connections:"
        " add the column, or give each connection a list of its own."
    )


class OwnRows:
    """The rows of such a list that are one connection's. `configured`: connections that rows may
    name; `nobodys`: rows so far of which nobody can tell whose they are, which no customer's
    results tell of.
    """

    def __init__(self, connection: str, configured: Container[str], rows: Iterable[ValidRow | BadRow]) -> None:
        self._connection = connection
        self._configured = configured
        self._rows = rows
        self._named = self._own = self.nobodys = 0
        self._ended = False

    def __iter__(self) -> Iterator[ValidRow | BadRow]:
        """Yield them in the list's order."""
        for row in self._rows:
            self._named += bool(row.connection if isinstance(row, BadRow) else row.row.get(CONNECTION))
            row, whose = find_owner(row, self._configured)
            self._own += whose == self._connection
            self.nobodys += not whose
            if whose == self._connection:
                yield row
        self._ended = True

    def fault(self, name: str) -> str:
        """Return why nothing may be concluded for this connection from the list of this name, once
        it was read; '' where something may.
        """
        if not self._ended or self._own:
            return ""
        if self._named:
            return f"No row of {name} names {self._connection}."
        return tell_unnamed(name)
