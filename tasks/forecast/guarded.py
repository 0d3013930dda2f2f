"""A dry run of a guarded operation says whom the role guard spares; where nobody can tell who that
is, nothing would be done to anybody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.forecast.rows import ForeseenRow
from worker.operations.foreseen import Foreseen, Would
from worker.sending.guarding import ROLE_HOLDER, WHY_SPARED

if TYPE_CHECKING:
    from worker.directory.role_guard import RoleGuard


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
