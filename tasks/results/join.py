"""Outcomes, or what would become of each row, are written beside the admin's own list: every line
and column in its order.

Which outcome belongs to which line is told by their order, which is the list's own, and checked by
the address. Where the two do not agree (the list was sorted or edited since, the job was a retry of
some rows) the address alone decides. Outcomes of an earlier run in the list are replaced.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tasks.errors import OutputError
from tasks.lists.earlier_results import JOINED_COLUMNS, find_like, find_stage_keys
from tasks.lists.guest_list import GuestList
from tasks.lists.records import FileLine
from tasks.results.table import Cell, Table, TableRow, ended_so, outcome_cells
from tasks.rows.cleaning import look_again
from tasks.rows.escaping import escape_own_cell
from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, validate_record
from worker.addresses import fold_address

Outcomes = Iterable[Mapping[str, Any]]
PARTS = "parts"
"""Where the outcome of a row that went through several connections holds those of each."""


class NotInOrder(Exception):
    """The list's lines are not the job's rows in their order."""


class Matcher(Protocol):
    """Finds a line's outcome."""

    def take(self, number: int, email: str, connection: str | None = "") -> Mapping[str, Any] | None:
        """Return the outcome of the next guest of the list, None where the job has none.
        `connection`: that the guest's row names. Raises `NotInOrder`.
        """
        ...

    def knows(self, number: int, email: str) -> bool:
        """Whether the next outcome is this guest's."""
        ...

    def finish(self) -> int:
        """Return how many outcomes found no line. Raises `NotInOrder`."""
        ...


class InOrder:
    """Outcomes as they come: the list's n-th guest is the job's n-th row. Needs no memory."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._left = iter(outcomes)
        self._next = next(self._left, None)

    def take(self, number: int, email: str, connection: str | None = "") -> Mapping[str, Any] | None:
        """As in `Matcher`."""
        if not self.knows(number, email):
            raise NotInOrder
        outcome, self._next = self._next, next(self._left, None)
        return outcome

    def knows(self, number: int, email: str) -> bool:
        """As in `Matcher`."""
        outcome = self._next
        if outcome is None or outcome["row"] != number:
            return False
        # A row whose person was forgotten has no address any more; its place is all there is.
        return not outcome["email"] or _key(outcome["email"]) == _key(email)

    def finish(self) -> int:
        """As in `Matcher`."""
        if self._next is not None:
            raise NotInOrder
        return 0


class ByAddress:
    """Outcomes by their addresses, those of one address in their order. Holds all of them."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._by_key: dict[str, deque[Mapping[str, Any]]] = defaultdict(deque)
        for outcome in outcomes:
            self._by_key[_key(outcome["email"])].append(outcome)
        self._found = 0

    def take(self, number: int, email: str, connection: str | None = "") -> Mapping[str, Any] | None:
        """As in `Matcher`."""
        waiting = self._by_key.get(_key(email)) if email else None
        if not waiting:
            return None
        self._found += 1
        return waiting.popleft()

    def knows(self, number: int, email: str) -> bool:
        """As in `Matcher`."""
        return bool(email and self._by_key.get(_key(email)))

    def finish(self) -> int:
        """As in `Matcher`; raises `OutputError` where list and job have nobody in common."""
        if not self._found:
            raise OutputError("None of the list's addresses is in the job: this is another list.")
        return sum(map(len, self._by_key.values()))


@dataclass(slots=True)
class Joined:
    """A list and where its outcomes come from.

    `only`: the outcomes wanted; what is no guest's line is left out then. After writing:
    `left_over` outcomes that have no line in the list, and how many guests were written.
    """

    guests: GuestList
    matcher: Matcher
    columns: Sequence[str] = JOINED_COLUMNS
    only: Sequence[str] = ()
    left_over: int = 0
    guests_written: int = 0

    def table(self, width: int) -> Table:
        """Return a CSV or Excel list with the outcome columns from column `width` (from 0) on."""
        before = find_earlier(self.guests, self.columns)
        top = [_own(cells, before) for cells in self.guests.reader.top]
        top[-1] = [*_padded(top[-1], width), *self.columns]
        return Table(top, self._rows(width, before))

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield a JSONL list's objects with the outcomes in them, each with its address."""
        for line, email, outcome in self._lines():
            found = dict(line.found) if line.found is not None else {"line": line.cells[0]}
            # A key that the list has already, such as `mail` for the address, stays the list's.
            fields = {heading for _, heading in self.guests.reader.read}
            for key in find_stage_keys(found):
                del found[key]
            found |= {key: outcome.get(key) if outcome else None for key in self.columns if key not in fields}
            yield email, found

    def cells_by_line(self) -> dict[int, list[Cell]]:
        """Return the outcomes' cells by line."""
        return {
            line.line: outcome_cells(outcome, self.columns) for line, _, outcome in self._lines() if outcome is not None
        }

    def _rows(self, width: int, before: range) -> Iterator[TableRow]:
        for line, email, outcome in self._lines():
            own = _own(line.cells, before)
            if line.number is None:
                yield TableRow("", own)
            else:
                # Cells beyond the headings stay beyond all headings, so that the row is read again
                # as it was.
                beyond = own[width : _used(own)]
                yield TableRow(email, [*_padded(own, width), *outcome_cells(outcome or {}, self.columns), *beyond])

    def _lines(self) -> Iterator[tuple[FileLine, str, Mapping[str, Any] | None]]:
        for line in self.guests.reader.lines():
            if line.number is None:
                # What was hidden in a workbook and left out would be a guest where nothing can be
                # hidden.
                if not self.only and not line.is_hidden:
                    yield line, "", None
                continue
            email, connection = _whose(line)
            outcome = self.matcher.take(line.number, email, connection)
            if not self.only or (outcome is not None and _ended_so(outcome, self.only)):
                self.guests_written += 1
                yield line, email, outcome
        self.left_over = self.matcher.finish()


def find_earlier(guests: GuestList, columns: Sequence[str]) -> range:
    """Return where a list has such columns from an earlier run, to be replaced; an empty range
    where it has none.
    """
    return find_like(guests.reader.top[-1], columns) if guests.reader.top else range(0)


def find_width(guests: GuestList, columns: Sequence[str] = JOINED_COLUMNS) -> int:
    """Read a whole list; return how many columns are used, without those of an earlier run."""
    reader, before = guests.reader, find_earlier(guests, columns)
    width = _used(_own(reader.top[-1], before))
    for line in reader.lines():
        if line.number is not None and not line.is_bad and not line.is_long:
            width = max(width, _used(_own(line.cells, before)))
    return width


def match_and_write(make: Callable[[Matcher], int], matched: Callable[[Callable[[Outcomes], Matcher]], Matcher]) -> int:
    """Have `make` write with the outcomes in order, and once more by address where the order is
    another. `matched` returns the outcomes, matched so.
    """
    try:
        return make(matched(InOrder))
    except NotInOrder:
        return make(matched(ByAddress))


def _whose(line: FileLine) -> tuple[str, str | None]:
    """Return what the job has for this line's address: that of a good row as it is sent, that of a
    bad one as it stood; and the connection that the line names: '' for none, None where it is a bad
    one that names none.
    """
    values = dict(line.values)
    if not line.is_bad:
        row = validate_record(values, line.number or 0, line.line)
        if isinstance(row, BadRow):
            row = look_again(row, values, {})
        if isinstance(row, BadRow):
            return row.email, row.connection or None
        return str(row.row["email"]), row.row.get(CONNECTION, "")
    email = values.get("email")
    return email.strip() if isinstance(email, str) else "", None


def _ended_so(outcome: Mapping[str, Any], only: Sequence[str]) -> bool:
    return any(ended_so(one, only) for one in outcome.get(PARTS, (outcome,)))


def _key(email: str) -> str:
    return fold_address(email[:320])


def _own(cells: Sequence[str], before: range) -> list[Cell]:
    own = (*cells[: before.start], *cells[before.stop :]) if before else cells
    return [escape_own_cell(cell) for cell in own]


def _padded(cells: Sequence[Cell], width: int) -> list[Cell]:
    """Return cells cut or filled to a width."""
    return [*cells[:width], *[""] * (width - len(cells))]


def _used(cells: Sequence[Cell]) -> int:
    return max((index for index, cell in enumerate(cells, 1) if str(cell).strip()), default=0)
