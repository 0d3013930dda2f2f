"""The same list submitted again and again mails everyone once; the later jobs say which earlier one did it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.sandboxes import Sandbox
from tests.sites import Site, open_site
from worker.model import Counts

ROWS, TIMES = 120, 5
PEOPLE = [f"person-{number}@partner.example" for number in range(ROWS)]


@pytest.fixture
async def listed(request: pytest.FixtureRequest, valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A site where only the index knows who was invited; with the parameter "true" the directory is asked first, too."""
    async with open_site(valkey_url, sandbox, latency="0.02", precheck=getattr(request, "param", "false")) as site:
        yield site


@pytest.mark.parametrize("listed", ["true", "false"], ids=["precheck", "no precheck"], indirect=True)
async def test_one_after_another(listed: Site) -> None:
    """Five nights of the same list: one mail each, and every later row is skipped, naming a job before it."""
    listed.start_worker()
    earlier: list[str] = []
    for _ in range(TIMES):
        job = await listed.load(PEOPLE)
        view = await listed.ended(job)
        if not earlier:
            assert view.counts == Counts(rows=ROWS, invited=ROWS)
        else:
            assert view.counts == Counts(rows=ROWS, skipped=ROWS)
            for record in await listed.results(job):
                assert record["error_code"] == "invited_before"
                assert any(f"job {name} " in record["error_message"] for name in earlier), record["error_message"]
        earlier.append(job)
    listed.assert_all_mailed_once(ROWS)


async def test_all_at_once(listed: Site) -> None:
    """Five jobs side by side, on two workers: whoever sends first has the guest, the others wait and skip."""
    for _ in range(2):
        listed.start_worker(16)
    jobs = [await listed.load(PEOPLE) for _ in range(TIMES)]
    counts = [(await listed.ended(job, 60)).counts for job in jobs]
    assert sum(count.invited for count in counts) == ROWS
    assert sum(count.skipped + count.already_guest for count in counts) == ROWS * (TIMES - 1)
    listed.assert_all_mailed_once(ROWS)


@pytest.mark.long
async def test_all_at_once_under_lost_answers(listed: Site) -> None:
    """A claim whose answer is lost stays open until the directory has spoken: still one mail each."""
    listed.sandbox.ask("faults", {"spec": "lost@batch=1/5,504@item@invite=1/11"})
    for _ in range(2):
        listed.start_worker(16)
    jobs = [await listed.load(PEOPLE) for _ in range(3)]
    counts = [(await listed.ended(job, 60)).counts for job in jobs]
    assert sum(count.failed + count.in_doubt for count in counts) == 0
    assert sum(count.invited for count in counts) >= 1
    listed.assert_all_mailed_once(ROWS)
