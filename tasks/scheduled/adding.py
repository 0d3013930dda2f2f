"""A schedule is looked at before it is added: one that would read a tenant without a pause is
refused, and what it lacks to do anything is told. Pure, but for a look whether its list is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from config.schedules import TASKS
from tasks.errors import Refusal

if TYPE_CHECKING:
    from config.connections import Connection
    from config.schedules import Schedule

LEAST_S: Final = 60.0
"""Between two runs that read a whole tenant; cron knows no less."""
_SHOWN: Final = 10


def refuse_too_often(schedule: Schedule) -> None:
    """Raise `Refusal` where a task that reads a whole tenant would do so without a pause."""
    if schedule.every is not None and schedule.every < LEAST_S and TASKS[schedule.task].reads_tenant:
        raise Refusal(
            f"{schedule.task} reads the whole tenant at each run, so --every must be at least 1m (once a day is usual);"
            " nothing was added."
        )


def tell_lacking(schedule: Schedule, connections: Iterable[Connection]) -> list[str]:
    """Return a sentence for each thing without which its runs could do nothing."""
    told = [sentence for connection in connections for sentence in _lacking(schedule, connection)]
    more = [f"And {len(told) - _SHOWN} more connections lack the same."] if len(told) > _SHOWN else []
    path = str(schedule.args.get("path", ""))
    if path and "://" not in path and not Path(path).exists():
        more.append(f"{path} is not on this machine. Workers read it: it must be there where they run.")
    return [*told[:_SHOWN], *more]


def _lacking(schedule: Schedule, connection: Connection) -> Iterator[str]:
    find = getattr(import_module(f"tasks.scheduled.{schedule.task}"), "lacks", None)
    if find is not None and (what := find(connection)):
        yield f"{what}: until then each run of {connection.name} does nothing."
