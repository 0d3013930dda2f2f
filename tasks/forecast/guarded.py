"""A dry run of a guarded operation says whom the role guard spares; where nobody can tell who that
is, nothing would be done to anybody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.forecast.rows import ForeseenRow, Foresight
from worker.channels import split_channel
from worker.directory.asking import PatientAsk
from worker.directory.role_guard import RoleGuard, read_role_guard
from worker.directory.rules import fetch_rules
from worker.operations.foreseen import Foreseen, Would
from worker.operations.operation import CannotAsk, Channel
from worker.operations.registry import find_operation
from worker.sending.guarding import ROLE_HOLDER, WHY_SPARED

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.submit import Loaded
    from worker.services import Services


async def spare(rows: AsyncIterator[ForeseenRow], guard: RoleGuard) -> AsyncIterator[ForeseenRow]:
    """Yield the rows, each with what would become of it in the end."""
    async for one in rows:
        if one.foreseen.would is not Would.DO:
            yield one
        elif guard.unread or one.user is None:
            why = guard.unread or "Nobody could look whom this is about, so nothing is done: try again."
            yield replace(one, foreseen=Foreseen(Would.REFUSE, "nobody_can_tell", why))
        elif guard.has(one.user.id):
            yield replace(one, foreseen=Foreseen(Would.REFUSE, ROLE_HOLDER, WHY_SPARED))
        else:
            yield one


async def foresee_change(
    services: Services, connection: Connection, loaded: Loaded
) -> tuple[AsyncIterator[ForeseenRow], RoleGuard | None]:
    """Return what would become of the rows of a loaded job that changes guests, and, of an
    operation that is guarded, the guard. Raises `TokenRefused`.
    """
    channel = Channel(connection, find_operation(split_channel(loaded.loading.connection)[1]))
    rules = await fetch_rules(services, channel)
    return await foresee_guarded(
        Foresight(services, channel, rules, loaded.options, channel.operation.reads), loaded.job
    )


async def foresee_guarded(foresight: Foresight, job: str) -> tuple[AsyncIterator[ForeseenRow], RoleGuard | None]:
    """The same for whoever looks at the rows by itself. Raises `TokenRefused`."""
    if not foresight.channel.operation.guarded:
        return foresight.rows(job), None
    try:
        guard = await read_role_guard(PatientAsk(foresight.services, foresight.channel.connection, job))
    except CannotAsk:
        guard = RoleGuard(unread="Graph gives no answer, so nobody can tell whom to spare: try again later.")
    return spare(foresight.rows(job), guard), guard
