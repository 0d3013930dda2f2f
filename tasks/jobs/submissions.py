"""The jobs of one submission are found, and told as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.errors import Refusal
from tasks.jobs.finding import find_job
from tasks.messages.views import describe_job
from tasks.telling.words import many
from worker.channels import NOBODYS
from worker.ledger.gates import Gate
from worker.ledger.job_view import JobView
from worker.ledger.lists.submissions import SUBMISSION, is_submission
from worker.ledger.model import Counts, JobState
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from worker.services import Services

_TOLD_FIRST = (JobState.LOADING, JobState.RUNNING, JobState.HELD, JobState.PAUSED, JobState.CANCELLED)
"""Of jobs that stand differently, the first of these is said of all of them."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission and its jobs as they stand, by their connections' names. A job by itself is one
    too, of the job's id.
    """

    id: str
    views: tuple[JobView, ...]

    @property
    def is_job(self) -> bool:
        """Whether it is a job by itself."""
        return self.views[0].id == self.id

    @property
    def jobs(self) -> list[str]:
        """The ids of its jobs."""
        return [view.id for view in self.views]

    @property
    def of_connections(self) -> list[JobView]:
        """Those of its jobs that go through a connection: without that of nobody's rows."""
        return [view for view in self.views if view.connection != NOBODYS]

    @property
    def going_on(self) -> list[JobView]:
        """Those of its jobs that have not ended."""
        return [view for view in self.views if not view.ended]

    @property
    def total(self) -> JobView:
        """All of it as if it were one job of its id."""
        return self.views[0] if self.is_job else add_up(self.id, self.views)

    def describe(self) -> dict[str, Any]:
        """Return the one object of `--json`."""
        told = describe_job(self.total)
        if self.is_job:
            return told
        del told["job"], told["connection"]
        return {"submission": self.id, **told, "jobs": [describe_job(view) for view in self.views]}


async def find_submission(services: Services, wanted: str) -> Submission | None:
    """Return the submission of that id; None where the id is a job's. Raises `Refusal`."""
    if not is_submission(wanted):
        return None
    wanted = wanted.strip().lower()
    views = await services.jobs.views([*await services.jobs.submissions.jobs(wanted)])
    if not views:
        raise Refusal(no_such_submission(wanted))
    return Submission(wanted, tuple(views))


async def match_submission(services: Services, wanted: str) -> Submission | None:
    """Return the submission of that id, or of the one id that begins so, for people: a producer is
    told of no other's id. None where the id is a job's. Raises `Refusal`.
    """
    wanted = wanted.strip().lower()
    if is_submission(wanted) and not await services.jobs.submissions.jobs(wanted):
        found = await services.jobs.submissions.matching(wanted)
        if len(found) > 1:
            raise Refusal(f"{len(found)} submissions or more begin with {wanted}: {', '.join(found[:4])}, …")
        wanted = found[0] if found else wanted
    return await find_submission(services, wanted)


async def find_any(services: Services, wanted: str) -> Submission:
    """Return the submission, or the job by itself, that a person calls so. Raises `Refusal`."""
    if submission := await match_submission(services, wanted):
        return submission
    view = await find_job(services, wanted)
    return Submission(view.id, (view,))


async def list_together(services: Services, newest: int) -> list[JobView]:
    """Return the newest jobs, where the jobs of a submission are one, of its id."""
    looked_at = newest
    while True:
        views = await services.jobs.listed(newest=looked_at)
        lines = {str(view.info.get(SUBMISSION, "")) or view.id: view for view in reversed(views)}
        if len(lines) >= newest or len(views) < looked_at:
            break
        looked_at *= 4
    found = dict(reversed(lines.items()))
    for name in [name for name in found if is_submission(name)][:newest]:
        if jobs := await services.jobs.views([*await services.jobs.submissions.jobs(name)]):
            found[name] = add_up(name, jobs)
    return [*found.values()][:newest]


async def is_accepted(services: Services, submission: str) -> bool:
    """Tell whether the rows of a submission were accepted: of all of its jobs, or of none."""
    views = await services.jobs.views([*await services.jobs.submissions.jobs(submission)])
    return any(view.is_accepted for view in views)


def no_such_submission(wanted: str) -> str:
    """Return the sentence about an id that no submission has."""
    from config.errors import quoted

    return f"There is no submission {quoted(wanted)}: it never was, or its jobs are deleted or have expired."


def add_up(submission: str, views: Sequence[JobView]) -> JobView:
    """Return some jobs of a submission as one job of its id: what counts is the sum. It does what
    the job does that leads to others, such as a clean-up beside its reminders. Pure.
    """
    lead = next((view for view in views if find_operation(view.operation).only_looks), views[0])
    states = {view.state for view in views}
    finished = [view.finished_at for view in views if view.finished_at]
    stages: dict[str, list[Counts]] = {}
    for view in views:
        for name, counts in view.stages.items():
            stages.setdefault(name, []).append(counts)
    return replace(
        lead,
        id=submission,
        connection=many(len({view.connection for view in views} - {NOBODYS}), "connection"),
        state=next((state for state in _TOLD_FIRST if state in states), lead.state),
        why=lead.why if len({view.why for view in views}) == 1 else "",
        counts=_sum([view.counts for view in views]),
        chunks=sum(view.chunks for view in views),
        open=sum(view.open for view in views),
        created_at=min(view.created_at for view in views),
        started_at=min((view.started_at for view in views if view.started_at), default=None),
        finished_at=max(finished) if len(finished) == len(views) else None,
        info={name: value for name, value in lead.info.items() if name != SUBMISSION},
        gate=Gate(),
        approval="",
        stages={name: _sum(counts) for name, counts in stages.items()},
        stage_waits={},
    )


def _sum(counts: Sequence[Counts]) -> Counts:
    every = [asdict(one) for one in counts]
    return Counts(**{name: sum(one[name] for one in every) for name in every[0]})
