"""A CSV's separator is found out together with the line of headings: only the right separator makes
an e-mail heading.

Counting characters goes wrong where names hold commas; a heading that is known does not.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tasks.errors import InputError
from tasks.lists.address_columns import SAMPLE_ROWS
from tasks.lists.ambiguities import Ambiguity, Choice
from tasks.lists.columns import MOST_COLUMNS, find_email
from tasks.lists.heading_line import (
    Line,
    check_above,
    explain_missing,
    find_headings,
    find_headings_by_cells,
    refuse_other_templates,
    rows_below,
)
from tasks.lists.options import DELIMITER_NAMES, DELIMITERS, ListOptions

if TYPE_CHECKING:
    from _csv import Reader

_SEP: Final = re.compile(r'\s*"?sep=(.)"?\s*(?:[\r\n]|\Z)', re.IGNORECASE)
"""Excel's own line about the separator; read by Excel, and written by those who want it to."""
_MOST_LINES: Final = SAMPLE_ROWS  # records looked at, with --header-line, too


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV is read: its delimiter, its line of headings, and the first rows below it."""

    delimiter: str
    headings: Line
    rows: Sequence[Sequence[str]] = ()


def recognise(text: str, name: str, options: ListOptions, skipped: int = 0) -> Dialect:
    """Return how a CSV that begins with `text` is read; `skipped` lines came before it. Raises
    `InputError`, `Ambiguity`.
    """
    said = options.delimiter or (found[1] if (found := _SEP.match(text)) else "")
    tops = {delimiter: _read_top(text, delimiter, skipped) for delimiter in ([said] if said else DELIMITERS)}
    for top in tops.values():
        refuse_other_templates(top.lines, name, options)
    found_in = _find_in(tops, find_headings, options) or _find_in(tops, find_headings_by_cells, options)
    if not found_in:
        widest = max(tops, key=lambda delimiter: _width(tops[delimiter].lines))
        if fault := next((top.too_wide for top in tops.values() if top.too_wide), tops[widest].fault):
            raise InputError(f"{name} {fault}")
        raise explain_missing(tops[widest].lines, name, options)
    if options.header_line:  # the line was said and the separator was not: the one that makes the most of it
        best = max(
            found_in,
            key=lambda delimiter: (
                find_email(found_in[delimiter].cells, options.mapping),
                len(found_in[delimiter].cells),
            ),
        )
        found_in = {best: found_in[best]}
    # A heading that stands alone looks the same under every separator, and then it does not matter.
    several = {delimiter: line for delimiter, line in found_in.items() if len(line.cells) > 1}
    if len(several) > 1:
        raise _ask(several, name, options)
    delimiter, headings = next(iter((several or found_in).items()))
    check_above(tops[delimiter].lines, headings, name, options)
    return Dialect(delimiter, headings, rows_below(tops[delimiter].lines, headings))


def open_reader(lines: Iterable[str], delimiter: str, *, strict: bool = True) -> Reader:
    """Return a reader of CSV: strict about quotation marks, but blanks between a separator and one
    are no part of the cell.
    """
    return csv.reader(lines, strict=strict, delimiter=delimiter, skipinitialspace=delimiter != " ")


def describe_unclosed(line: int) -> str:
    """Return what is wrong with a file whose last quoted cell does not end, and what to do."""
    return (
        f"ends inside a quoted cell; a quotation mark opened in line {line} is never closed: close it there, or take it"
        " away (one that belongs to the text is written twice)."
    )


@dataclass(frozen=True, slots=True)
class _Top:
    lines: list[Line]  # those that hold anything
    fault: str  # of the first record that is none
    too_wide: str  # of the first record that has more cells than any sheet


def _find_in(
    tops: Mapping[str, _Top], find: Callable[[Sequence[Line], ListOptions], Line | None], options: ListOptions
) -> dict[str, Line]:
    """Return the line of headings for every delimiter that makes one."""
    return {delimiter: line for delimiter, top in tops.items() if (line := find(top.lines, options)) is not None}


def _read_top(text: str, delimiter: str, skipped: int) -> _Top:
    """Return the first records; one that is none is passed over, as when the list is read."""
    reader = open_reader(io.StringIO(text, newline=""), delimiter)
    top: list[Line] = []
    line, fault, too_wide = skipped + 1, "", ""
    for index in range(_MOST_LINES):
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if "unexpected end" in str(error):
                fault = fault or describe_unclosed(line)
                break
            fault = fault or "has a misplaced quotation mark in its line of headings."
            cells = []
        if len(cells) > MOST_COLUMNS:
            too_wide = too_wide or (
                f"has more than {MOST_COLUMNS:,} columns in line {line}, which Excel itself does not hold; this is not"
                " a list of guests."
            )
            cells = []
        if any(map(str.strip, cells)):
            top.append(Line(line, index, cells))
        line = reader.line_num + skipped + 1
    return _Top(top, fault, too_wide)


def _width(top: Sequence[Line]) -> int:
    return max((len(line.cells) for line in top), default=0)


def _ask(candidates: dict[str, Line], name: str, options: ListOptions) -> Ambiguity:
    names = {delimiter: called for called, delimiter in DELIMITER_NAMES.items()}
    ways = " or ".join(f"--delimiter {names[delimiter]}" for delimiter in candidates)
    called = " and by ".join(DELIMITERS[delimiter] for delimiter in candidates)
    problem = f"{name} can be read as separated by {called}"
    return Ambiguity(
        f"{problem}; say {ways}.",
        f"{problem}. Which is right?",
        tuple(Choice(DELIMITERS[delimiter], replace(options, delimiter=delimiter)) for delimiter in candidates),
    )
