"""A submission names the jobs of one command, for as long as any of them is kept."""

from __future__ import annotations

import pytest

from tasks.jobs.submissions import add_up
from tests.ledgers import Desk
from worker.channels import name_channel
from worker.errors import LedgerError
from worker.ledger.lists.submissions import SUBMISSION, is_submission, new_submission_id
from worker.ledger.loading import Loading
from worker.ledger.model import JobState, Lane


async def _load(desk: Desk, submission: str, job: str, connection: str, rows: int) -> Loading:
    loading = await desk.jobs.create(job, connection, Lane.BULK, info={SUBMISSION: submission})
    assert loading is not None
    for number in range(rows):
        loading.put({"email": f"{job}-{number}@example.com"})
    return loading


async def _submit(desk: Desk, submission: str, job: str, connection: str, rows: int) -> None:
    await desk.jobs.start(await _load(desk, submission, job, connection, rows))


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


async def test_its_jobs_begin_in_one_moment_or_none(desk: Desk) -> None:
    """Redis starts them in one transaction, also where it does not know the script; asked once more
    nothing changes, and one that somebody removed holds up no other.
    """
    submission = new_submission_id()
    loadings = [await _load(desk, submission, f"job{name}", f"c-{name}", 3) for name in "abc"]
    assert all(view.state is JobState.LOADING for view in await desk.jobs.views(["joba", "jobb", "jobc"]))
    await desk.client.script_flush()
    begun = (await desk.client.info("commandstats")).get("cmdstat_exec", {"calls": 0})["calls"]
    assert await desk.jobs.start_together(loadings) == dict.fromkeys(("joba", "jobb", "jobc"), JobState.RUNNING)
    assert (await desk.client.info("commandstats"))["cmdstat_exec"]["calls"] == begun + 1
    assert await desk.jobs.start_together(loadings) == dict.fromkeys(("joba", "jobb", "jobc"), JobState.RUNNING)
    assert [view.counts.pending for view in await desk.jobs.views(["joba", "jobb", "jobc"])] == [3, 3, 3]
    more = [await _load(desk, submission, f"more{name}", f"c-{name}", 1) for name in "ab"]
    await desk.jobs.drop("morea")
    assert await desk.jobs.start_together(more) == {"moreb": JobState.RUNNING}
    await desk.jobs.delete("moreb")
    with pytest.raises(LedgerError, match="nothing was sent"):
        await desk.jobs.start_together(more)


async def test_a_connection_that_is_forgotten_is_in_none(desk: Desk) -> None:
    """Its job may have expired before those of the others."""
    one, two = new_submission_id(), new_submission_id()
    await desk.jobs.submissions.note(one, {"joba": "bellows", "jobb": "adatum"})
    await desk.jobs.submissions.note(two, {"jobc": "bellows"})
    assert await desk.jobs.submissions.forget_connection("bellows") == 2
    assert await desk.jobs.submissions.jobs(one) == {"jobb": "adatum"}
    assert not await desk.client.exists(desk.keys.submission(two))


async def test_it_is_told_by_what_leads_to_the_others(desk: Desk) -> None:
    """A clean-up whose reminders are a job of their own is a clean-up, of one connection."""
    submission = new_submission_id()
    await _submit(desk, submission, "joba", name_channel("adatum", "remind"), 2)
    await _submit(desk, submission, "jobb", name_channel("adatum", "clean"), 3)
    total = add_up(submission, await desk.jobs.views(["joba", "jobb"]))
    assert (total.operation, total.connection, total.counts.rows) == ("clean", "1 connection", 5)


async def test_it_is_found_by_how_its_id_begins(desk: Desk) -> None:
    """By nothing short of a letter of its own, and by none that is no pattern of somebody's."""
    for submission, job in (("s-abcdefghij", "joba"), ("s-abzzzzzzzz", "jobb")):
        await desk.jobs.submissions.note(submission, {job: "contoso"})
    for start, found in (
        ("s-abc", 1),
        ("s-abzzzzzzzz", 1),
        ("s-ab", 2),
        ("s-b", 0),
        ("s-", 0),
        ("s-*", 0),
        ("s-a?", 0),
    ):
        assert len(await desk.jobs.submissions.matching(start)) == found, start
