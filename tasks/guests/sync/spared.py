"""Whom a list never changes is found for the plan, so that it tells of nothing that is never done:
who holds, or may take, a directory role, and members of the tenant whom the list names.

A job looks at both once more just before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.addresses import fold_address
from worker.directory.lookups import LookUps
from worker.directory.reader import Asker
from worker.directory.role_guard import RoleGuard, read_role_guard
from worker.graph.users import MOST_ADDRESSES
from worker.operations.operation import CannotAsk

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.guests.sync.store import SyncStore
    from worker.directory.asking import PatientAsk
    from worker.services import Services


async def read_guard(ask: PatientAsk) -> RoleGuard:
    """Return who holds, or may take, a directory role, or why not. Raises `TokenRefused`."""
    try:
        return await read_role_guard(ask)
    except CannotAsk:
        return RoleGuard(unread="Graph gives no answer, so nobody can tell whom to spare, and no guest is changed.")


async def keep_members(services: Services, connection: Connection, store: SyncStore) -> int:
    """Take those out of the changes who are new in the list and members of the tenant; returns how
    many they are. Of whom nobody can tell now, the job finds out. Raises `TokenRefused`.
    """
    look_ups, kept, last = LookUps(services, Asker(services, connection)), 0, 0
    while some := store.some_new(last, MOST_ADDRESSES):
        folded = {fold_address(email): number for number, email in some}
        users = (await look_ups.find(connection, sorted(folded))).users or {}
        members = [number for address, number in folded.items() if address in users and users[address].member]
        store.drop_new(members)
        kept, last = kept + len(members), some[-1][0]
    return kept
