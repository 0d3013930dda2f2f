"""What the API answers with, as types: the OpenAPI document is made from them.

The counts of a job are named as `usher … --json` names them: `invited` and `already_guest` of an
invitation, `done` and `already` of every other operation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from console.faults import Fault
from tasks.jobs.submissions import Submission as Told
from tasks.messages.views import describe_job
from worker.ledger.job_view import JobView
from worker.ledger.lists.submissions import SUBMISSION


class StageCounts(BaseModel):
    """The rows of a job that ask for a stage, by how it ended for them."""

    rows: int
    done: int
    already: int
    skipped: int
    failed: int
    in_doubt: int
    pending: int
    cancelled: int


class _Stand(BaseModel):
    """How rows stand, of a job or of all jobs of a submission. `rows` is every row, and the sum of
    the counts.
    """

    operation: str = Field(description="What is done to the guests: invite, disable, …")
    state: str = Field(
        description="loading, running, paused, held, done or cancelled; of jobs that stand differently the first of"
        " loading, running, held, paused, cancelled."
    )
    why: str = Field(description="Why it waits or was ended, as a sentence; else empty.")
    rows: int
    invited: int | None = Field(default=None, description="Of an invitation.")
    already_guest: int | None = Field(default=None, description="Of an invitation.")
    done: int | None = Field(default=None, description="Of any other operation.")
    already: int | None = Field(default=None, description="Of any other operation: it was so before.")
    skipped: int
    failed: int
    in_doubt: int
    pending: int
    cancelled: int
    stages: dict[str, StageCounts] | None = Field(default=None, description="What follows the invitation, if anything.")
    in_flight: int = Field(description="Rows and stages of rows that Microsoft is being asked about now.")
    awaits_approval: bool = Field(description="Nothing is sent before somebody else approves it.")
    list: str = Field(description="What the list was called.")
    by: str = Field(description="Who submitted it; empty where nobody knows.")
    reason: str | None = Field(default=None, description="Why, as whoever submitted it says.")
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = Field(default=None, description="Set once nothing more will happen to it.")


class Job(_Stand):
    """A job as it stands."""

    model_config = ConfigDict(title="Job")

    job: str = Field(description="Its id.")
    connection: str = Field(description="Empty where its rows are no connection's that was chosen.")
    submission: str | None = Field(
        default=None, description="Which it belongs to, of a list that went through several."
    )


class Submission(_Stand):
    """A submission as it stands: its jobs, and their sum as if they were one."""

    submission: str = Field(description="Its id.")
    jobs: list[Job] = Field(description="One for each connection, by the connections' names.")


class Submitted(BaseModel):
    """A list was taken in: its rows are in the ledger, and each will end in exactly one outcome."""

    job: str = Field(description="The id of the job.")
    state: str = Field(description="running, or held where somebody has to approve it first.")
    rows: int
    to_send: int | None = Field(
        default=None, description="Rows that are neither bad nor repeated, and of a domain that is allowed."
    )
    bad: int | None = Field(default=None, description="Rows that end failed because they cannot be read.")
    errors: list[Fault] = Field(description="What is wrong with the bad rows; the first 50.")
    warnings: list[str] = Field(
        description="What is remarkable about how the list was read, and what the command would warn of before it"
        " sends. Of a repeat with the same Idempotency-Key only that it is one."
    )


class JobOfSubmission(BaseModel):
    """A job of a submission."""

    job: str = Field(description="Its id.")
    connection: str = Field(description="Empty where its rows are no connection's that was chosen.")


class SubmittedToSeveral(BaseModel):
    """A list that goes through several connections was taken in: all of it, or nothing."""

    submission: str = Field(description="The id of the submission.")
    jobs: list[JobOfSubmission] = Field(description="One for each connection that has rows.")
    state: str = Field(description="As of a submission.")
    rows: int = Field(description="Rows, each as often as there are connections that it goes through.")
    to_send: int | None = Field(default=None, description="As of a job, through all connections together.")
    bad: int | None = Field(default=None, description="Rows of the list that end failed because they cannot be read.")
    errors: list[Fault] = Field(description="What is wrong with the bad rows; the first 50.")
    warnings: list[str] = Field(description="What is remarkable about how the list was read, or a connection.")


class Jobs(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[Job]
    next: str | None = Field(default=None, description="The `cursor` of the next page; absent on the last.")


class Row(BaseModel):
    """A row of a job as it stands; with `<stage>_status` and `<stage>_error` for each stage."""

    model_config = ConfigDict(extra="allow")

    row: int
    email: str
    display_name: str
    ref: str
    status: str = Field(description="invited, already_guest, done, already, skipped, failed, in_doubt, pending, …")
    user_id: str
    invitation_id: str
    redeem_url: str = Field(description="The link to accept with; empty for those who may only look.")
    mail: str
    error_code: str
    error_message: str
    request_id: str
    attempts: int
    finished_at: str


class RowOfSubmission(Row):
    """A row as it stands, with the connection that it went through."""

    connection: str


class RowsOfSubmission(BaseModel):
    """A page of rows of all jobs, connection by connection."""

    submission: str
    state: str = Field(description="The submission's.")
    rows: list[RowOfSubmission]
    next: str | None = Field(default=None, description="The `after` of the next page; absent on the last.")


class Rows(BaseModel):
    """A page of rows."""

    job: str
    state: str = Field(description="The job's.")
    rows: list[Row]
    next: int | None = Field(default=None, description="The `after` of the next page; absent on the last.")


def describe_view(view: JobView) -> dict[str, Any]:
    """Return a job as `Job` has it."""
    info = view.info
    told = {
        "operation": view.operation,
        **describe_job(view),
        "in_flight": max(0, view.open),
        "awaits_approval": view.awaits_approval,
        "submission": info.get(SUBMISSION),
        "list": str(info.get("list", "")),
        "by": str(info.get("stated") or info.get("by") or ""),
        "reason": info.get("reason"),
        "created_at": _text(view.created_at),
        "started_at": _text(view.started_at),
        "finished_at": _text(view.finished_at),
    }
    return {name: value for name, value in told.items() if value is not None}


def describe_submission(submission: Told) -> dict[str, Any]:
    """Return a submission as `Submission` has it."""
    told = describe_view(submission.total)
    del told["job"], told["connection"]
    told["awaits_approval"] = any(view.awaits_approval for view in submission.views)
    return {"submission": submission.id, **told, "jobs": [describe_view(view) for view in submission.views]}


def _text(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
