"""What a plan says becomes a job of the operation `sync`: one at a time for each list, for an older
one that still waits would undo what a newer one does.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError
from tasks.guests.sync.brought import SOURCE
from tasks.submit import Loaded, load
from worker.channels import name_channel
from worker.operations.sync.sync import Sync

if TYPE_CHECKING:
    from datetime import datetime

    from config.connections import Connection
    from tasks.guests.sync.plan import SyncPlan
    from worker.services import Services

_LOOKED_BACK = timedelta(days=60)


async def refuse_unfinished(
    services: Services, connection: Connection, source: str, now: datetime, own: str = ""
) -> None:
    """Raise `InputError` where an earlier job of the list has not ended. `own`: this one's id."""
    channel = name_channel(connection.name, Sync.name)
    for view in await services.jobs.submitted_since(now - _LOOKED_BACK, channel):
        if view.info.get(SOURCE) == source and not view.ended and view.id != own:
            todo = "approve" if view.awaits_approval else "resume"
            raise InputError(
                f"Job {view.id} of the list {source} has not ended ({view.state.value}): let it end first (usher jobs"
                f" {todo} {view.id}, or cancel)."
            )


async def load_plan(services: Services, plan: SyncPlan, job: str, info: dict[str, Any]) -> Loaded:
    """Load what a plan says into a job that does not run yet. Raises what `load` raises."""
    told = {**info, SOURCE: plan.source, "plan": plan.describe()}
    return await load(services.jobs, plan.connection, plan.rows(), job=job, operation=Sync.name, info=told)
