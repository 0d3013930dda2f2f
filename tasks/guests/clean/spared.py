"""Whom nobody touches is read before a tenant's guests are judged: role holders, members of groups
that the settings spare, and the addresses of a file.

Where what the settings spare cannot be read nothing is done to anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import InputError, Refusal
from tasks.lists.guest_list import open_list
from tasks.rows.row import BadRow, ValidRow, validate_record
from worker.addresses import fold_address
from worker.directory.role_guard import RoleGuard, read_role_guard
from worker.directory.spared import read_spared_groups
from worker.operations.clean.policy import Spared
from worker.operations.operation import Ask, CannotAsk

if TYPE_CHECKING:
    from config.connections import Connection

_LONGEST_LINE = 1000
_NO_ANSWER = "Graph gives no answer, so nobody can tell whom to spare, and nothing was done: try again later."


async def read_whom_to_spare(ask: Ask, connection: Connection) -> tuple[Spared, RoleGuard]:
    """Return whom nobody touches, and the role guard, which may be unread. Raises `Refusal` where
    what the settings spare cannot be read.
    """
    addresses = _read_addresses(connection)
    try:
        groups = await read_spared_groups(ask, connection)
        guard = await read_role_guard(ask)
    except CannotAsk:
        raise Refusal(_NO_ANSWER) from None
    if groups.unread:
        raise Refusal(groups.unread)
    return Spared(frozenset() if guard.unread else guard.ids, groups.ids, addresses), guard


def _read_addresses(connection: Connection) -> frozenset[str]:
    file = connection.clean.spare_addresses
    if file is None:
        return frozenset()
    setting = f"connections.{connection.name}.clean.spare_addresses"
    found = set()
    try:
        for row in _read_rows(Path(file.target)):
            if isinstance(row, BadRow):
                raise Refusal(f"{row}. It stands in the file of {setting}; nothing was done.")
            found.add(fold_address(row.row["email"]))
    except InputError as error:
        raise Refusal(f"{error} It is the file of {setting}; nothing was done.") from None
    return frozenset(found)


def _read_rows(path: Path) -> Iterator[ValidRow | BadRow]:
    """Yield the rows of a list, or of a file with an address a line. Raises `InputError`."""
    if _begins_with_address(path):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield validate_record({"email": text.strip()}, line, line)
        return
    with open_list(path) as listed:
        yield from listed.rows()


def _begins_with_address(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = file.readline(_LONGEST_LINE)
    except OSError:
        return False  # opening it as a list says why
    return b"@" in first and not any(sign in first for sign in b",;\t{")
