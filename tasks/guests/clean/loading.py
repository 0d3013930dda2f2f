"""A plan becomes a job of the operation `clean`, whose stages do what is due.

Where usher mails guests itself, reminders are a job of their own: their mail is a stage of it, and
a stage has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.errors import JobExists, Refusal
from tasks.guests.clean.plan import CleanPlan
from tasks.submit import Loaded, drop, load
from worker.channels import name_channel
from worker.operations.clean.policy import Deed

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

CLEAN = "clean"
_LOOKED_BACK = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan is one job: an operation, and the kinds that it does."""

    operation: str
    deeds: tuple[Deed, ...]


async def refuse_unfinished(services: Services, connection: Connection, now: datetime, own: str = "") -> None:
    """Raise `Refusal` where an earlier clean-up of a connection has not ended, as one that waits
    for approval: it will look at its guests again, and a second would look at the same. `own`: the
    job that this is for.
    """
    for view in await services.jobs.submitted_since(now - _LOOKED_BACK, name_channel(connection.name, CLEAN)):
        if not view.ended and view.id != own:
            todo = "approve" if view.awaits_approval else "resume"
            raise Refusal(
                f"Job {view.id}, an earlier clean-up of {connection.name}, has not ended ({view.state.value}): let it"
                f" end first (usher jobs {todo} {view.id}, or cancel). Nothing was done."
            )


def split(connection: Connection, plan: CleanPlan) -> list[Part]:
    """Return the jobs that a plan becomes on a connection, the one that cleans up last. Pure."""
    due = tuple(plan.will)
    if not connection.mails_itself:
        return [Part(CLEAN, due)] if due else []
    others = tuple(deed for deed in due if deed is not Deed.REMIND)
    parts = [Part(Deed.REMIND.value, (Deed.REMIND,))] if Deed.REMIND in due else []
    return [*parts, Part(CLEAN, others)] if others else parts


async def load_parts(
    services: Services,
    connection: Connection,
    plan: CleanPlan,
    parts: Sequence[Part],
    jobs: Sequence[str],
    info: dict[str, Any],
) -> list[Loaded]:
    """Load each part into its job, of which none runs yet; a job that is there already is passed
    over. Raises what `load` raises, with nothing left behind.
    """
    told = {"list": f"connections.{connection.name}.clean", **info}
    loaded: list[Loaded] = []
    try:
        for part, job in zip(parts, jobs, strict=True):
            rows, operation = plan.rows(*part.deeds), part.operation
            with suppress(JobExists):
                loaded.append(await load(services.jobs, connection, rows, job=job, info=told, operation=operation))
    except BaseException:
        for one in loaded:
            await drop(services.jobs, one)
        raise
    return loaded
