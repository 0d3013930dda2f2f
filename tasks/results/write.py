"""A job's results, or what a dry run foresees, are written in the form that was asked for: which
format, beside which list.

Everything here is plain and synchronous: `fetch` gives the outcomes, as often as they are needed.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from tasks.errors import OutputError
from tasks.lists.csv_records import CsvRecords
from tasks.lists.csv_style import PLAIN, CsvStyle
from tasks.lists.earlier_results import JOINED_COLUMNS
from tasks.lists.excel.sheet_records import SheetRecords
from tasks.lists.guest_list import GuestList, open_list
from tasks.lists.options import ListOptions
from tasks.results.files import save_whole
from tasks.results.join import Joined, Matcher, Outcomes, find_earlier, find_width, match_and_write
from tasks.results.join_through import Through as MatchedThrough
from tasks.results.sheets import can_be_edited, fill_in, write_workbook
from tasks.results.table import (
    Cell,
    Table,
    TableRow,
    as_text,
    ended_so,
    outcome_cells,
    results_table,
    write_objects,
    write_table,
)
from tasks.rows.fields import CONNECTIONS, RESULT_COLUMNS, stage_columns
from tasks.safe_text import is_terminal, open_stdout

ENDINGS = {".xlsx": "xlsx", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
"""What the ending of a file's name means."""
Fetch = Callable[[], Iterable[Mapping[str, Any]]]
Through = Mapping[str, Fetch]
"""By connection, of a list that went through several."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be written. `format`: "csv", "jsonl", "xlsx", or "" for what fits. `output` None:
    standard output.

    `join`: the admin's own list, with how it is read; or `reopen` opens it. `columns`: what is put
    beside it. `stages`: the job's, whose columns come behind the others; `ahead`: columns before
    them; `behind`: columns behind them beside a list.
    """

    format: str = ""
    output: Path | None = None
    only: tuple[str, ...] = ()
    join: Path | None = None
    options: ListOptions = field(default_factory=ListOptions)
    reopen: Callable[[], GuestList] | None = None
    columns: Sequence[str] = JOINED_COLUMNS
    stages: Sequence[str] = ()
    ahead: Sequence[str] = ()
    behind: Sequence[str] = ()

    @property
    def beside(self) -> Sequence[str]:
        """The columns beside the admin's own list."""
        return (*self.columns, *stage_columns(self.stages), *self.behind)

    @property
    def whole(self) -> Sequence[str]:
        """The columns of a results file."""
        return (*self.ahead, *RESULT_COLUMNS, *stage_columns(self.stages))


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were written, and how many outcomes the list has no line for."""

    rows: int
    left_over: int = 0


@dataclass(frozen=True, slots=True)
class _Form:
    """How contents, cells or JSONL's objects, become bytes. `top`: the lines above them."""

    format: str
    style: CsvStyle = PLAIN
    top: Sequence[Sequence[Cell]] = ()

    def write(self, pairs: Iterable[tuple[str, Any]], stream: IO[bytes]) -> int:
        if self.format == "xlsx":
            return write_workbook(Table(self.top, (TableRow(*pair) for pair in pairs)), stream)
        with as_text(stream, self.style.encoding) as sink:
            if self.format == "jsonl":
                return write_objects((content for _, content in pairs), sink)
            return write_table(Table(self.top, (TableRow(*pair) for pair in pairs)), sink, self.style)


def write_results(wanted: Wanted, fetch: Fetch) -> Written:
    """Write a job's results. Raises `OutputError`, and with `join` `InputError` for the list."""
    if wanted.join is not None or wanted.reopen is not None:
        return _write_joined(wanted, lambda kind: kind(fetch()))
    outcomes = (outcome for outcome in fetch() if ended_so(outcome, wanted.only))
    form = _Form(wanted.format or _by_name(wanted) or "csv", PLAIN, [wanted.whole])
    if form.format == "jsonl":
        objects = ((outcome["email"] or "", {name: outcome.get(name) for name in wanted.whole}) for outcome in outcomes)
        return _put(wanted, form, objects)
    return _put(wanted, form, results_table(outcomes, wanted.whole).rows)


def write_through(wanted: Wanted, through: Through) -> Written:
    """Write beside a list the outcomes of several connections. Raises as `write_results` does."""
    wanted = replace(wanted, behind=(CONNECTIONS,))
    return _write_joined(wanted, lambda kind: MatchedThrough({name: kind(fetch()) for name, fetch in through.items()}))


def write_rows(
    output: Path | None, columns: Sequence[str], outcomes: Iterable[Mapping[str, Any]], form_name: str = ""
) -> Written:
    """Write outcomes that have these columns to a file (None: to standard output), in the format
    that is named, that the file's name ends in, else as CSV. Raises `OutputError`.
    """
    wanted = Wanted(output=output)
    form = _Form(form_name or _by_name(wanted) or "csv", PLAIN, [columns])
    if form.format == "jsonl":
        return _put(wanted, form, (("", {name: outcome.get(name) for name in columns}) for outcome in outcomes))
    return _put(wanted, form, (("", outcome_cells(outcome, columns)) for outcome in outcomes))


def _write_joined(wanted: Wanted, matched: Callable[[Callable[[Outcomes], Matcher]], Matcher]) -> Written:
    with _open(wanted) as guests:
        kind = guests.format
        width = find_width(guests, wanted.beside) if kind != "jsonl" else 0
        style = guests.reader.style if isinstance(guests.reader, CsvRecords) else PLAIN
    named = wanted.format or _by_name(wanted)
    if kind == "jsonl" and named not in ("", "jsonl"):
        raise OutputError("A list in JSONL comes back as JSONL: its objects need not have the same keys.")
    if kind != "jsonl" and named == "jsonl":
        raise OutputError("A list with columns comes back as csv or xlsx; JSONL has none.")
    fits = "csv" if kind == "xlsx" and wanted.output is None else kind
    form = _Form(named or fits, style)
    written = Written(0)

    def make(matcher: Matcher) -> int:
        nonlocal written
        with _open(wanted) as guests:
            joined = Joined(guests, matcher, wanted.beside, wanted.only)
            written = _write_one(wanted, form, joined, width)
            written = replace(written, rows=joined.guests_written, left_over=0 if wanted.only else joined.left_over)
        return written.rows

    match_and_write(make, matched)
    return written


def _write_one(wanted: Wanted, form: _Form, joined: Joined, width: int) -> Written:
    guests = joined.guests
    if form.format == "jsonl":
        return _put(wanted, form, joined.objects())
    plain = wanted.output is not None and not wanted.only
    if form.format == "xlsx" and plain and guests.book is not None and can_be_edited(guests.book, guests.name):
        assert isinstance(guests.reader, SheetRecords)
        assert wanted.output is not None
        book, reader = guests.book, guests.reader
        before = find_earlier(guests, wanted.beside)
        columns = [*wanted.beside, *[""] * (len(before) - len(wanted.beside))]  # nothing of a longer run stays
        headings = (reader.headings.line, (before.start if before else width) + 1, columns)
        name = guests.name
        macros = wanted.output.suffix.lower() == ".xlsm"

        def outcomes() -> dict[int, list[Cell]]:
            return {line: [*cells, *columns[len(cells) :]] for line, cells in joined.cells_by_line().items()}

        def fill(stream: IO[bytes]) -> int:
            return fill_in(book, name, reader.sheet, headings, outcomes, stream, macros=macros)

        return Written(save_whole(wanted.output, fill))
    table = joined.table(width)
    return _put(wanted, replace(form, top=table.top), table.rows)


def _put(wanted: Wanted, form: _Form, pairs: Iterable[tuple[str, Any]]) -> Written:
    """Write to where it was wanted."""
    if wanted.output is not None:
        return Written(save_whole(wanted.output, lambda stream: form.write(pairs, stream)))
    # Whole or not at all here, too: a list that turns out to be another one leaves nothing
    # half-written in a pipe.
    with tempfile.TemporaryFile() as file:
        rows = form.write(pairs, file)
        file.seek(0)
        if form.format != "xlsx" and is_terminal(sys.stdout):
            shown = io.TextIOWrapper(file, form.style.encoding, "replace")
            for line in shown:
                open_stdout().write(line)
            shown.detach()
            return Written(rows)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return Written(rows)


def _open(wanted: Wanted) -> GuestList:
    if wanted.reopen is not None:
        return wanted.reopen()
    assert wanted.join is not None
    return open_list(wanted.join, options=wanted.options)


def _by_name(wanted: Wanted) -> str:
    """Return the format that the ending of the file's name means, if any."""
    if wanted.output is None:
        return ""
    return ENDINGS.get(wanted.output.suffix.lower(), "")
