"""A listing of people ends as a table on the terminal, or as CSV, JSON lines or Excel elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from tasks.guests.listing import GuestListing

_F = TypeVar("_F", bound=Callable[..., Any])
_A_TABLE = 1_000  # rows whose columns are aligned with each other


def output_options(command: _F) -> _F:
    """`--limit --format -o`: how much is listed, and how."""
    command = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")(command)
    return form_options(command)


def form_options(command: _F) -> _F:
    """`--format -o`: how something is listed."""
    for option in (
        click.option(
            "-o",
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write to this file (0600) instead of stdout.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(("table", "csv", "jsonl")),
            help="Else: as the file's name ends, a table without a file.",
        ),
    ):
        command = option(command)
    return command


def choose_form(form: str | None, output: Path | None) -> str:
    """Return the format, '' for what the file's name ends in. Raises `Refusal`, and `OutputError`
    where the file cannot be written.
    """
    if output is None:
        return form or "table"
    if form == "table":
        raise Refusal("A table is for the terminal: a file is written as csv or jsonl.")
    from tasks.results.files import check_writable

    check_writable(output)
    return form or ""


def finish_listing(
    terminal: Terminal, listing: GuestListing, read: int, form: str, output: Path | None, one: str
) -> None:
    """Show or write a listing, and say how many of those that were `read` stand in it. `one`: what
    one of them is called.
    """
    from tasks.telling.words import many

    terminal.status("")
    if form == "table":
        _show(terminal, listing, one)
    else:
        listing.write(form, output)
    to = f", written to {output}" if output else ""
    terminal.say(f"{many(listing.count, one)} of {many(read, one)} that were read{to}.")


def _show(terminal: Terminal, listing: GuestListing, one: str) -> None:
    """Show a table, or several where there are thousands of rows."""
    from cli.ui.terminal import build_table

    if not listing.count:
        terminal.show(f"No {one}s.")
    rows = ([_cell(row.get(column)) for column in listing.columns] for row in listing.rows())
    while part := list(islice(rows, _A_TABLE)):
        terminal.show(build_table(listing.columns, part))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "; ".join(value) if isinstance(value, list) else value or ""
