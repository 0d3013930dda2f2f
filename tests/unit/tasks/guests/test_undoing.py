"""Rows of a job become rows that undo it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.errors import Refusal
from tasks.guests.undoing import _is_done, _operations_of, _undo_row, refuse_undo
from worker.ledger.model import JobState


def view(operation: str, *stages: str, state: JobState = JobState.DONE) -> Any:
    """Return as much of a job as is looked at."""
    return SimpleNamespace(
        id="abc", operation=operation, stages=dict.fromkeys(stages), ended=state is JobState.DONE, state=state
    )


def undone(job: Any, **record: str) -> dict[str, Any] | None:
    """Return the row that undoes one row of a job."""
    whole = {"email": "ann@partner.example", "user_id": "u", "display_name": "", "ref": "", "status": "skipped"}
    whole |= {"finished_at": "2026-11-29T12:00:00+00:00"} | {f"{stage}_status": "" for stage in job.stages} | record
    return _undo_row(job, whole, [one for one in _operations_of(job) if _is_done(job, whole, one)])


@pytest.mark.parametrize(
    ("job", "record", "then", "why"),
    [
        (view("disable"), {"status": "done"}, "enable", "disabled by job abc"),
        (view("delete"), {"status": "done", "ref": "7"}, "restore", "deleted by job abc"),
        (view("clean", "remind", "disable", "delete"), {"delete_status": "done"}, "restore", "deleted by job abc"),
        (view("sync", "disable", "profile"), {"disable_status": "done"}, "enable", "disabled by job abc"),
        (
            view("clean", "remind", "disable"),
            {"status": "done", "remind_status": "done"},
            None,
            "This guest was reminded by job abc, which nothing undoes.",
        ),
        (view("sync", "disable"), {"status": "done"}, None, "This guest was invited by job abc, which nothing undoes."),
    ],
)
def test_what_was_done_names_what_undoes_it(job: Any, record: dict[str, str], then: str | None, why: str) -> None:
    """By the guest's id; what nothing undoes says so."""
    row = undone(job, **record)
    assert row is not None
    assert (row.get("then"), row["why"], row["user_id"], row["internal"]) == (then, why, "u", True)
    assert row.get("ref") == record.get("ref")
    assert row["did"] == "abc 2026-11-29T12:00:00+00:00" if job.operation in ("disable", "delete") else "abc"


@pytest.mark.parametrize(
    ("job", "record"),
    [
        (view("disable"), {"status": "already"}),
        (view("disable"), {"status": "failed"}),
        (view("clean", "disable"), {"status": "done", "disable_status": "already"}),
        (view("clean", "disable"), {"status": "done", "disable_status": "failed"}),
    ],
)
def test_what_was_not_done_is_not_undone(job: Any, record: dict[str, str]) -> None:
    """Nor what was so before the job."""
    assert undone(job, **record) is None


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (view("invite", "profile"), "cannot be undone"),
        (view("enable"), "cannot be undone"),
        (view("undo", "enable"), "cannot be undone"),
        (view("disable", state=JobState.RUNNING), "still running"),
    ],
)
def test_a_job_that_cannot_be_undone_is_one_sentence(job: Any, words: str) -> None:
    """Or not yet."""
    with pytest.raises(Refusal, match=words):
        refuse_undo(job)
