"""Write how the rows ended: CSV for people, JSONL for programs, a row at a time.

Both hold the same columns in the same order, and both can be fed back into `usher invite`. CSV
lines end in `\\n`, not in RFC 4180's `\\r\\n`: every spreadsheet reads both, while `cut`, `awk` and
`diff` would find a `\\r` in the last column. A list with its outcomes beside it (`join.py`) is
written by the same hands, in the list's own way.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, Final, NamedTuple

from tasks.lists.csv_style import PLAIN, CsvStyle
from tasks.rows.escaping import escape_cell
from tasks.rows.fields import RESULT_COLUMNS, stage_of
from tasks.safe_text import TextSink, to_json

Cell = str | int | float


class TableRow(NamedTuple):
    """One guest's line of a table, ready to be written; `email` tells whose, for splitting."""

    email: str
    cells: Sequence[Cell]


class Table(NamedTuple):
    """What is written as CSV or a sheet: lines on top, the last with headings; a line a guest."""

    top: Sequence[Sequence[Cell]]
    rows: Iterable[TableRow]


def ended_so(outcome: Mapping[str, Any], only: Collection[str]) -> bool:
    """Tell whether a row, or a stage of it, ended in one of these ways; none named: in any."""
    if not only or outcome["status"] in only:
        return True
    return any(value in only for name, value in outcome.items() if stage_of(name))


def results_table(outcomes: Iterable[Mapping[str, Any]], columns: Sequence[str] = RESULT_COLUMNS) -> Table:
    """Return a job's results as a table. Text that a spreadsheet would run as a formula is escaped
    (`tasks.rows.escaping`).

    Missing and None become empty cells; other keys than the columns are left out.
    """
    rows = (TableRow(outcome.get("email") or "", outcome_cells(outcome, columns)) for outcome in outcomes)
    return Table([columns], rows)


def outcome_cells(outcome: Mapping[str, Any], columns: Sequence[str] = RESULT_COLUMNS) -> list[Cell]:
    """Return an outcome's cells, escaped."""
    return [_cell(outcome.get(column)) for column in columns]


def write_table(table: Table, sink: TextSink, style: CsvStyle = PLAIN) -> int:
    """Write a table as CSV; return the number of its rows."""
    if style.mark:
        sink.write("\ufeff")
    # csv.writer quotes a cell for a `\r` only where lines end in `\r\n`, so it is told so, and its
    # line ends are changed.
    target = sink if style.line_end == "\r\n" else _LineEnds(sink, style.line_end)
    writer = csv.writer(target, lineterminator="\r\n", delimiter=style.delimiter)
    writer.writerows(table.top)
    count = 0
    for row in table.rows:
        writer.writerow(row.cells)
        count += 1
    return count


def write_csv(outcomes: Iterable[Mapping[str, Any]], sink: TextSink, columns: Sequence[str] = RESULT_COLUMNS) -> int:
    """Write headings and one line per outcome; return the number of outcomes."""
    return write_table(results_table(outcomes, columns), sink)


def write_jsonl(outcomes: Iterable[Mapping[str, Any]], sink: TextSink, columns: Sequence[str] = RESULT_COLUMNS) -> int:
    """Write one JSON object per outcome with every column, None as null; return how many."""
    return write_objects(({column: outcome.get(column) for column in columns} for outcome in outcomes), sink)


def write_objects(objects: Iterable[Mapping[str, Any]], sink: TextSink) -> int:
    """Write one JSON object a line; return their number."""
    count = 0
    for found in objects:
        sink.write(to_json({key: _plain(value) for key, value in found.items()}) + "\n")
        count += 1
    return count


WRITERS: Final[Mapping[str, Callable[..., int]]] = {"csv": write_csv, "jsonl": write_jsonl}
"""The text formats by the name that `--format` takes."""


@contextmanager
def as_text(stream: IO[bytes], encoding: str = "utf-8") -> Iterator[TextSink]:
    """Give a binary stream to those who write text, and leave it open."""
    # A lone surrogate, which JSON from elsewhere may hold, becomes "?" and does not end the export.
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    try:
        yield text
    finally:
        text.detach()  # flushes


class _LineEnds:
    """Passes each record on with another end than its `\\r\\n`; csv.writer makes one call each."""

    __slots__ = ("_end", "_write")

    def __init__(self, sink: TextSink, end: str) -> None:
        self._write = sink.write
        self._end = end

    def write(self, record: str) -> object:
        return self._write(record[:-2] + self._end)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, str):
        return escape_cell(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, list):
        return escape_cell(";".join(map(str, value)))
    return escape_cell(str(_plain(value)).lower() if isinstance(value, bool) else str(_plain(value)))
