"""Guests are named by a file, by standard input, by addresses or by object ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from config.values import is_guid
from tasks.rows.row import BadRow, ValidRow

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from tasks.lists.options import ListOptions


def open_guests(
    terminal: Terminal, source: tuple[str, ...], options: ListOptions, closing: ExitStack
) -> tuple[Iterator[ValidRow | BadRow], str]:
    """Return the rows, and what to call them. In a list an id may stand in place of the address.
    Raises `UsageError`, `InputError`.
    """
    from cli.invite.command import open_source

    if not any(map(is_guid, source)):
        rows, name, _ = open_source(terminal, source, options, closing, None)
        return name_by_id(rows), name
    for text in source:
        if "@" not in text and not is_guid(text):
            raise click.UsageError(f"{text[:60]!r} is neither an address nor an object id: give one file, or these.")
    return _people(source), "1 guest" if len(source) == 1 else f"{len(source)} guests"


def name_by_id(rows: Iterator[ValidRow | BadRow]) -> Iterator[ValidRow | BadRow]:
    """Yield the rows; those with an object id in place of the address are good."""
    for row in rows:
        if isinstance(row, BadRow) and row.column == "email" and is_guid(row.email):
            yield ValidRow(row.number, row.line, {"email": row.email.lower()})
        else:
            yield row


def _people(source: tuple[str, ...]) -> Iterator[ValidRow | BadRow]:
    from tasks.rows.row import validate_record

    for number, text in enumerate(source, 1):
        yield from name_by_id(iter([validate_record({"email": text}, number)]))
