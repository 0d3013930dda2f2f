"""`remind_pending` mails guests again who have not accepted, as `usher guests remind` does for a
list, or without `confirm` says how many it would mail.

Whom the connection's policy spares is not reminded, and its ceiling holds; other kinds of its deeds
are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.guests.clean.loading import Part
from tasks.scheduled.clean_guests import clean_up
from tasks.scheduled.context import Context, Told
from worker.operations.again.remind import spacing_of
from worker.operations.clean.policy import Deed

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.guests.clean.plan import CleanPlan


async def run(context: Context) -> Told:
    """Remind those who are pending for so long."""
    connection = await context.services.resolved(context.connection.name)
    after_s = context.schedule.args.get("after") or connection.clean.remind_after_s or spacing_of(connection).every_s
    clean = connection.clean.model_copy(update={"remind_after_s": after_s})
    return await clean_up(context, connection.model_copy(update={"clean": clean}), (Deed.REMIND,), _split)


def _split(connection: Connection, plan: CleanPlan) -> list[Part]:
    """One job, of the operation that reminds: each guest is looked at by it again."""
    return [Part(Deed.REMIND.value, (Deed.REMIND,))] if plan.will else []
