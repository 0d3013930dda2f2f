"""A submission names the jobs of one command, for as long as any of them is kept."""

from __future__ import annotations

from tasks.jobs.submissions import add_up
from tests.ledgers import Desk
from worker.ledger.lists.submissions import SUBMISSION, is_submission, new_submission_id
from worker.ledger.model import JobState, Lane


async def _submit(desk: Desk, submission: str, job: str, connection: str, rows: int) -> None:
    loading = await desk.jobs.create(job, connection, Lane.BULK, info={SUBMISSION: submission})
    assert loading is not None
    for number in range(rows):
        loading.put({"email": f"{job}-{number}@example.com"})
    await desk.jobs.start(loading)


async def test_it_is_kept_as_long_as_the_job_that_is_kept_longest(desk: Desk) -> None:
    """Its expiry begins with the last job's; a job that is deleted leaves it; without any it is
    gone.
    """
    submission = new_submission_id()
    assert is_submission(submission)
    key = desk.keys.submission(submission)
    await _submit(desk, submission, "joba", "bellows", 2)
    await _submit(desk, submission, "jobb", "adatum", 3)
    await desk.jobs.submissions.note(submission, {"joba": "bellows", "jobb": "adatum"})
    assert await desk.jobs.submissions.jobs(submission) == {"jobb": "adatum", "joba": "bellows"}
    total = add_up(submission, await desk.jobs.views(["joba", "jobb"]))
    assert (total.id, total.connection, total.counts.rows) == (submission, "2 connections", 5)
    await desk.jobs.cancel("joba")
    await desk.jobs.expire_ended()
    assert await desk.client.ttl(key) == -1
    total = add_up(submission, await desk.jobs.views(["joba", "jobb"]))
    assert (total.state, total.counts.cancelled, total.counts.pending, total.ended) == (JobState.RUNNING, 2, 3, False)
    await desk.jobs.cancel("jobb")
    await desk.jobs.expire_ended()
    assert 0 < await desk.client.ttl(key) <= round(desk.jobs.keep_s)
    await desk.jobs.delete("joba")
    assert await desk.jobs.submissions.jobs(submission) == {"jobb": "adatum"}
    await desk.jobs.delete("jobb")
    assert not await desk.client.exists(key)
