"""Guests are named by a file, by standard input, by addresses or by object ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.values import is_guid
from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, ValidRow
from worker.addresses import fold_address
from worker.ledger.model import NEW_EMAIL

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


def open_moves(
    terminal: Terminal, source: tuple[str, ...], options: ListOptions, closing: ExitStack
) -> tuple[Iterator[ValidRow | BadRow], str]:
    """The same of guests who are named with their new addresses: OLD=NEW, or a list with the column
    `new_email`. Raises `UsageError`, `InputError`.
    """
    from cli.invite.command import open_source

    if len(source) == 1 and ("@" not in source[0] or Path(source[0]).exists()):
        rows, name, _ = open_source(terminal, source, options, closing, None)
    else:
        rows, name = iter(_read_pairs(source)), "1 guest" if len(source) == 1 else f"{len(source)} guests"
    return _need_new(name_by_id(rows)), name


def name_by_id(rows: Iterator[ValidRow | BadRow]) -> Iterator[ValidRow | BadRow]:
    """Yield the rows; those with an object id in place of the address are good."""
    for row in rows:
        if isinstance(row, BadRow) and row.column == "email" and is_guid(row.email):
            own = {CONNECTION: row.connection} if row.connection else {}
            yield ValidRow(row.number, row.line, {"email": row.email.lower(), **own})
        else:
            yield row


def _read_pairs(source: tuple[str, ...]) -> list[ValidRow | BadRow]:
    from tasks.rows.row import validate_record

    rows = []
    pairs = [(text, *text.split("=", 1)) if "=" in text else (text, "", "") for text in source]
    for text, old, new in pairs:
        if "@" not in new or not ("@" in old or is_guid(old)):
            raise click.UsageError(f"{text[:60]!r} is not OLD=NEW, two addresses: give these, or one file.")
    for number, (_, old, new) in enumerate(pairs, 1):  # an id is no address, and is put in its place
        row = validate_record({"email": new if is_guid(old) else old, NEW_EMAIL: new}, number)
        if isinstance(row, ValidRow) and is_guid(old):
            row.row["email"] = old.lower()
        rows.append(row)
    return rows


def _need_new(rows: Iterator[ValidRow | BadRow]) -> Iterator[ValidRow | BadRow]:
    """Yield the rows; those without another address than the guest has are bad."""
    from tasks.rows.row import build_bad_row

    for row in rows:
        new = row.row.get(NEW_EMAIL) if isinstance(row, ValidRow) else None
        if isinstance(row, BadRow) or (new and fold_address(new) != fold_address(row.row["email"])):
            yield row
        else:
            yield build_bad_row(row.row, row.number, row.line, NEW_EMAIL, "is the same" if new else "is missing")


def _people(source: tuple[str, ...]) -> Iterator[ValidRow | BadRow]:
    from tasks.rows.row import validate_record

    for number, text in enumerate(source, 1):
        yield from name_by_id(iter([validate_record({"email": text}, number)]))
