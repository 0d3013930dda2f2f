"""The same list submitted again and again mails everyone once; the later jobs say which earlier one
did it.
"""

from __future__ import annotations

import pytest

from tests.sites import WITH_AND_WITHOUT_PRECHECK, Site, kill
from worker.ledger.model import Counts

ROWS, TIMES = 120, 5
PEOPLE = [f"person-{number}@partner.example" for number in range(ROWS)]


pytestmark = pytest.mark.sandbox(latency="0.02", precheck="false")
"""Where the directory is not asked first, only the index knows who was invited."""


@WITH_AND_WITHOUT_PRECHECK
async def test_one_after_another(site: Site) -> None:
    """Five nights of the same list: one mail each, and every later row is skipped, naming a job
    before it.
    """
    site.start_worker()
    earlier: list[str] = []
    for _ in range(TIMES):
        job = await site.load(PEOPLE)
        view = await site.ended(job)
        if not earlier:
            assert view.counts == Counts(rows=ROWS, done=ROWS)
        else:
            assert view.counts == Counts(rows=ROWS, skipped=ROWS)
            for record in await site.results(job):
                assert record["error_code"] == "invited_before"
                assert any(f"job {name} " in record["error_message"] for name in earlier), record["error_message"]
        earlier.append(job)
    site.assert_all_mailed_once(ROWS)


async def test_all_at_once(site: Site) -> None:
    """Five jobs side by side, on two workers: whoever sends first has the guest, the others wait
    and skip.
    """
    for _ in range(2):
        site.start_worker(16)
    jobs = [await site.load(PEOPLE) for _ in range(TIMES)]
    counts = [(await site.ended(job, 60)).counts for job in jobs]
    assert sum(count.done for count in counts) == ROWS
    assert sum(count.skipped + count.already for count in counts) == ROWS * (TIMES - 1)
    site.assert_all_mailed_once(ROWS)


@WITH_AND_WITHOUT_PRECHECK
@pytest.mark.sandbox(latency="0.5", replication="20", settle_s=30)
async def test_a_running_job_is_deleted_and_its_list_submitted_again(site: Site) -> None:
    """Its rows on the wire are invited after it is gone, and the directory shows nobody for 20 s:
    still one mail each.
    """
    site.start_worker(16)
    first = await site.load(PEOPLE)
    await site.rows_on_the_wire(first)
    await site.desk.jobs.delete(first)
    counts = (await site.ended(await site.load(PEOPLE))).counts
    assert counts.skipped > 0
    assert counts == Counts(rows=ROWS, done=ROWS - counts.skipped, skipped=counts.skipped)
    site.assert_all_mailed_once(ROWS)


@pytest.mark.sandbox(replication="1", settle_s=3)
async def test_a_job_in_doubt_is_deleted_and_its_list_submitted_again(site: Site) -> None:
    """Nobody heard whether its guests were invited: the next job looks them up in its place."""
    site.sandbox.ask("faults", {"spec": "504-after@batch=1"})
    worker = site.start_worker(16)
    first = await site.load(PEOPLE)

    async def in_doubt() -> bool:
        return "d" in await site.letters(first)

    await site.until("rows in doubt", in_doubt)
    kill(worker)
    await site.desk.jobs.delete(first)
    site.sandbox.ask("faults", {"spec": ""})
    site.start_worker(16)
    assert (await site.ended(await site.load(PEOPLE))).counts == Counts(rows=ROWS, done=ROWS)
    site.assert_all_mailed_once(ROWS)


@pytest.mark.long
async def test_all_at_once_under_lost_answers(site: Site) -> None:
    """A claim whose answer is lost stays open until the directory has spoken: still one mail
    each.
    """
    site.sandbox.ask("faults", {"spec": "lost@batch=1/5,504@item@invite=1/11"})
    for _ in range(2):
        site.start_worker(16)
    jobs = [await site.load(PEOPLE) for _ in range(3)]
    counts = [(await site.ended(job, 60)).counts for job in jobs]
    assert sum(count.failed + count.in_doubt for count in counts) == 0
    assert sum(count.done for count in counts) >= 1
    site.assert_all_mailed_once(ROWS)
