"""A list's headings stand in the first of twenty lines with an e-mail heading, else in the line
above a column of addresses.

What stands above are titles: spreadsheets are often exported with a title, a date and a group of
columns above the headings. A line that holds an address is no line of headings, and an address
above the headings is a question: a guest would be passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from tasks.errors import InputError
from tasks.lists.admin_center_template import explain_other_template, is_version_line
from tasks.lists.ambiguities import Ambiguity, Choice
from tasks.lists.columns import (
    ask_for_email,
    explain_no_email,
    find_email,
    looks_like_email,
    parse_headings,
    quote_headings,
)
from tasks.lists.options import ListOptions
from tasks.rows.cleaning import holds_address

LINES_LOOKED_AT: Final = 20
"""Lines that hold anything, from the top."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record from the top of a list: where it begins, how many stand above it, its cells."""

    line: int
    index: int
    cells: Sequence[str]


def find_headings(top: Sequence[Line], options: ListOptions) -> Line | None:
    """Return the line of headings, or None. `top` holds no empty lines."""
    if options.header_line:
        return next((line for line in top if line.line == options.header_line), None)
    return next((line for line in top[:LINES_LOOKED_AT] if find_email(line.cells, options.mapping)), None)


def find_headings_by_cells(top: Sequence[Line], options: ListOptions) -> Line | None:
    """Return the line of headings above a column of addresses that no heading names."""
    if options.header_line or options.mapping.get("email", "#")[:1] != "#":
        return None
    first = next((index for index, line in enumerate(top) if any("@" in cell for cell in line.cells)), 0)
    above = [line for line in top[: min(first, LINES_LOOKED_AT)] if not is_version_line(line.cells)]
    if not above:
        return None
    like = (line for line in above if any(map(looks_like_email, line.cells)))
    # Titles have fewer cells than headings, and rows without an address have no more.
    found = next(like, None) or max(above, key=lambda line: sum(1 for cell in line.cells if cell.strip()))
    try:
        parse_headings(found.cells, "", options, rows_below(top, found))
    except Ambiguity:
        return found
    except InputError:
        return None
    return found


def rows_below(top: Sequence[Line], found: Line) -> list[Sequence[str]]:
    """Return the records below the headings, as far as they were looked at."""
    return [line.cells for line in top if line.index > found.index]


def refuse_other_templates(top: Sequence[Line], name: str, options: ListOptions) -> None:
    """Raise `InputError` for a template of the admin center's that names no guests, unless the
    column of addresses was said.
    """
    if options.mapping.get("email"):
        return
    for line in top[:LINES_LOOKED_AT]:
        if why := explain_other_template(line.cells):
            raise InputError(f"{name} {why}")


def check_above(top: Sequence[Line], found: Line, name: str, options: ListOptions) -> None:
    """Raise `Ambiguity` where an address above the headings may be a guest's."""
    if options.header_line:
        return
    above = [line for line in top if line.index < found.index and any(map(holds_address, line.cells))]
    if not above:
        return
    where = f"{name} has its headings in line {found.line}, and an address above them in line {above[0].line}"
    raise Ambiguity(
        f"{where}: if that is no guest's, say --header-line {found.line}; if it is, move it below the headings.",
        f"{where}. Is line {above[0].line} to be passed over?",
        (Choice(f"yes, the guests are below line {found.line}", replace(options, header_line=found.line)),),
    )


def explain_missing(top: Sequence[Line], name: str, options: ListOptions) -> InputError:
    """Return why no line of headings was found: a question where some column might be the one, else
    what is missing.
    """
    top = [line for line in top[:LINES_LOOKED_AT] if not is_version_line(line.cells)]
    if options.header_line:
        return InputError(f"{name} has no line {options.header_line} with headings near its beginning.")
    if not top:
        return InputError(f"{name} is empty.")
    if wanted := options.mapping.get("email"):
        shown = max(top, key=lambda line: len([cell for cell in line.cells if cell.strip()]))
        return InputError(
            f"{name} has no column {quote_headings([wanted])}, which --map names for email; its line {shown.line} has "
            f"{quote_headings([cell for cell in shown.cells if cell.strip()])}."
        )
    for line in top:
        if any("@" in cell for cell in line.cells):
            break
        if like := list(dict.fromkeys(cell for cell in line.cells if looks_like_email(cell))):
            return ask_for_email(like, name, options, line.line)
    guess = _above_addresses(top)
    if guess is not None:
        return ask_for_email([guess[1]], name, options, guess[0].line)
    return explain_no_email([cell for cell in top[0].cells if cell.strip()], name)


def _above_addresses(top: Sequence[Line]) -> tuple[Line, str] | None:
    """Return the line above the first address, and what stands over the address there."""
    for above, line in pairwise(top):
        for index, cell in enumerate(line.cells):
            if holds_address(cell):
                heading = above.cells[index].strip() if index < len(above.cells) else ""
                return (above, heading) if heading and "@" not in heading else None
    return None
