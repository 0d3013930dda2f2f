"""A scheduled task is given a context, and tells how it went when it is done."""

from __future__ import annotations

from dataclasses import dataclass
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

    @property
    def job(self) -> str:
        """The job of this run: it follows from the schedule's name and the time, so a tick that
        fires twice is the same job.
        """
        return job_id_of(Follows.RUN, self.schedule.name, self.due_ms)

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
    """How a run ended: a sentence, without any address. `attention`: it did its work, and somebody
    has to act.
    """

    what: str
    status: Literal["ok", "attention", "failed"] = "ok"
    jobs: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
