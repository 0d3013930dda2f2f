"""A scheduled task is given a context, and tells how it went when it is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from tasks.submit import Follows, job_id_of

if TYPE_CHECKING:
    from config.connections import Connection
    from config.schedules import Schedule
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class Context:
    """One run of one schedule."""

    services: Services
    schedule: Schedule
    due_ms: int
    among: tuple[str, ...] | None = None
    """Of a schedule over several connections: all that it is over now; the run is of one."""

    def of(self, connection: str) -> Context:
        """Return the context of one connection's run."""
        among = tuple(self.services.settings().members(self.schedule.connection or ""))
        return replace(self, schedule=self.schedule.model_copy(update={"connection": connection}), among=among)

    @property
    def name(self) -> tuple[str | int, ...]:
        """What a run is called, and what its jobs' ids follow from: schedule and time, and the
        connection of one over several.
        """
        of = (self.schedule.connection or "",) if self.among is not None else ()
        return (self.schedule.name, *of, self.due_ms)

    @property
    def job(self) -> str:
        """The job of this run: it follows from the run's name, so a second tick finds the same."""
        return job_id_of(Follows.RUN, *self.name)

    @property
    def connection(self) -> Connection:
        """The schedule's connection. Raises `config.UnknownConnection`."""
        return self.services.connection(self.schedule.connection or "")

    @property
    def now(self) -> datetime:
        """The present, on Redis's clock as far as it is known."""
        return datetime.fromtimestamp(self.services.clocks.redis_ms() / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """How a run ended: a sentence, no address. `attention`: it went well; somebody has to act."""

    what: str
    status: Literal["ok", "attention", "failed"] = "ok"
    jobs: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
