"""A schedule over several connections is told as a whole: how the last run of each stands, and
those runs that somebody should look at first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tasks.telling.words import many
from worker.ledger.timetable import KEPT_RUNS, KEPT_RUNS_EACH

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.ledger.timetable import Latest, Planned, ScheduledRun, Timetable

NEVER: Final = "never"
_WORDS: Final = {
    "ok": "ok",
    "attention": "need attention",
    "failed": "failed",
    "running": "running",
    NEVER: "not run yet",
}
_TROUBLE: Final = ("failed", "attention")


@dataclass(frozen=True, slots=True)
class Standing:
    """How the last run of each connection stands, by its name; `never` of one that had none.
    `newest_ms`: when the newest of them was due.
    """

    statuses: Mapping[str, str]
    newest_ms: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Return how many connections there are, and how many of each status."""
        counts = Counter(self.statuses.values())
        return {"all": len(self.statuses), **{status: counts[status] for status in _WORDS}}

    @property
    def troubled(self) -> list[str]:
        """The connections whose last run failed, and those where it asks for somebody."""
        return [name for status in _TROUBLE for name, found in self.statuses.items() if found == status]

    @property
    def worst(self) -> str:
        """The status of the whole."""
        return next((status for status in (*_TROUBLE, "running", "ok") if self.counts[status]), NEVER)

    def __str__(self) -> str:
        counts = self.counts
        told = ", ".join(f"{counts[status]:,} {_word(status, counts[status])}" for status in _WORDS if counts[status])
        return f"{many(counts['all'], 'connection')}: {told}" if told else "no connection now"


def _word(status: str, count: int) -> str:
    return "needs attention" if (status, count) == ("attention", 1) else _WORDS[status]


def find_standing(connections: Iterable[str], latest: Mapping[str, Latest], since_ms: int = 0) -> Standing:
    """Return how the last run of each connection stands, of those due since then. Pure."""
    found = {name: latest.get(name) for name in connections}
    return Standing(
        {name: last.status if last and last.due_ms >= since_ms else NEVER for name, last in found.items()},
        max((last.due_ms for last in found.values() if last), default=0),
    )


async def recall_runs(
    timetable: Timetable, settings: Settings, planned: Planned, newest: int = KEPT_RUNS
) -> tuple[list[ScheduledRun], Standing | None]:
    """Return a schedule's newest runs and, of one over several connections, how they stand: then
    the last run of each connection in trouble is among them, whenever that was.
    """
    name = planned.schedule.name
    if not planned.schedule.several:
        return await timetable.runs(name, newest), None
    latest = await timetable.latest(name)
    standing = find_standing(settings.members(planned.schedule.connection or ""), latest)
    ran = sorted((one for one in standing.statuses if one in latest), key=lambda one: -latest[one].due_ms)
    chosen = list(dict.fromkeys([*standing.troubled, *ran]))[:newest]
    return choose_runs(await timetable.runs(name, newest * KEPT_RUNS_EACH, chosen), newest), standing


def choose_runs(runs: Sequence[ScheduledRun], newest: int) -> list[ScheduledRun]:
    """Return the newest runs, the last one of each connection before any earlier one. `runs`: the
    newest first. Pure.
    """
    last = {id(run) for run in {run.connection: run for run in reversed(runs)}.values()}
    chosen = sorted(runs, key=lambda run: id(run) not in last)[:newest]
    return sorted(chosen, key=lambda run: (-run.due_ms, run.connection))
