"""Whom the settings of a clean-up spare is read: who is in their groups, and whose address is in
their file. It is read for a plan, and again just before anything is done.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from worker.addresses import fold_address
from worker.directory.role_guard import RoleGuard, read_spared
from worker.directory.targets import resolve
from worker.ledger.job_targets import TargetKind
from worker.operations.clean.policy import Spared

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.operations.ask import Ask

_ADDRESS = re.compile(r"[^\s,;\"'<>{}\[\]]+@[^\s,;\"'<>{}\[\]]+")
_MOST_BYTES = 64 << 20


async def read_spared_groups(ask: Ask, connection: Connection) -> RoleGuard:
    """Return who is in spared groups, or why nobody can tell. Raises `CannotAsk`."""
    names = connection.clean.spare_groups
    if not names:
        return RoleGuard()
    setting = f"connections.{connection.name}.clean.spare_groups"
    resolved = await resolve(ask, TargetKind.GROUP, names)
    if resolved.may_not:
        return RoleGuard(
            unread=f"The groups of {setting} cannot be found, so nobody can tell whom to spare, and nothing was done: a"
            f" tenant administrator grants the application permission {resolved.may_not} and gives admin consent.",
            permission=resolved.may_not,
        )
    # A group that nobody can be put into can be spared all the same
    for target in resolved.targets.values():
        if not target.id:
            return RoleGuard(unread=f"{target.refused} It stands in {setting}; nothing was done.")
    spared = await read_spared(ask, [target.id for target in resolved.targets.values()])
    return RoleGuard(unread=f"{spared.unread} Nothing was done.") if spared.unread else spared


def read_again(connection: Connection, groups: RoleGuard) -> tuple[Spared, str]:
    """Return whom the settings spare now, and a sentence where nobody can tell. Blocking: reads the
    file.

    What looks like an address in it is spared: who reads the list for the plan has said what is
    wrong with it, and here rather one too many stays.
    """
    if groups.unread:
        return Spared(), groups.unread
    file = connection.clean.spare_addresses
    if file is None:
        return Spared(ids=groups.ids), ""
    try:
        with Path(file.target).open("rb") as opened:
            content = opened.read(_MOST_BYTES)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        setting = f"connections.{connection.name}.clean.spare_addresses"
        return Spared(), f"The file of {setting} cannot be read ({why}), so nobody can tell whom to spare."
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
    return Spared(ids=groups.ids, addresses=frozenset(map(fold_address, _ADDRESS.findall(text)))), ""
