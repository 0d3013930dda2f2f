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
from worker.directory.role_guard import RoleGuard, read_role_guard, read_spared
from worker.directory.targets import resolve
from worker.ledger.job_targets import TargetKind
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
        groups = await _read_groups(ask, connection)
        guard = await read_role_guard(ask)
    except CannotAsk:
        raise Refusal(_NO_ANSWER) from None
    return Spared(frozenset() if guard.unread else guard.ids, groups, addresses), guard


async def _read_groups(ask: Ask, connection: Connection) -> frozenset[str]:
    names = connection.clean.spare_groups
    if not names:
        return frozenset()
    setting = f"connections.{connection.name}.clean.spare_groups"
    resolved = await resolve(ask, TargetKind.GROUP, names)
    if resolved.may_not:
        raise Refusal(
            f"The groups of {setting} cannot be found, so nobody can tell whom to spare, and nothing was done: a tenant"
            f" administrator grants the application permission {resolved.may_not} and gives admin consent."
        )
    # A group that nobody can be put into can be spared all the same
    for target in resolved.targets.values():
        if not target.id:
            raise Refusal(f"{target.refused} It stands in {setting}; nothing was done.")
    spared = await read_spared(ask, [target.id for target in resolved.targets.values()])
    if spared.unread:
        raise Refusal(f"{spared.unread} Nothing was done.")
    return spared.ids


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
    """Yield the rows of a list, or of a file that has nothing but an address a line. Raises
    `InputError`.
    """
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
