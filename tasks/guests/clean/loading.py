"""A plan becomes a job of the operation `clean`, whose stages do what is due.

Where usher mails guests itself, reminders are a job of their own: their mail is a stage of it, and
a stage has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.guests.clean.plan import CleanPlan
from tasks.submit import Loaded, drop, load
from worker.operations.clean.policy import Deed

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan is one job: an operation, and the kinds that it does."""

    operation: str
    deeds: tuple[Deed, ...]


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
            one = await load(
                services.jobs, connection, plan.rows(*part.deeds), job=job, info=told, operation=part.operation
            )
            loaded += [one] if one else []
    except BaseException:
        for one in loaded:
            await drop(services.jobs, one)
        raise
    return loaded
