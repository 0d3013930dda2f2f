"""SIGKILL of workers while guests are put into groups, named and sponsored: each is where the list
says, and hardly anything is written twice.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.sandboxes import Sandbox
from tests.sites import kill, open_site
from tests.whole_way import ROLES, WholeWay, count


@pytest.mark.parametrize(
    ("rows", "groups", "lag_s", "latency", "every_s"),
    [
        (200, 8, 1, "0.1", 2),
        pytest.param(1000, 40, 20, "0.3", 5, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_workers_die_on_the_whole_way(
    valkey_url: str, sandbox: Sandbox, rows: int, groups: int, lag_s: int, latency: str, every_s: float
) -> None:
    """A worker dies every few seconds, with a lag, lost answers and groups that take nobody."""
    case = WholeWay(rows, groups)
    async with open_site(
        valkey_url, sandbox, latency=latency, replication=str(lag_s), roles=ROLES, settle_s=lag_s + 4
    ) as site:
        case.make(site)
        site.sandbox.ask("faults", {"spec": "504-after@item=0.01,504-after@update_group=0.01"})
        job = case.submit(site)
        worker, kills = site.start_worker(), 0
        while kills < 3 or not (await site.view(job)).ended:
            await asyncio.sleep(every_s)  # the rhythm is the test
            if kills < 3 or (await site.view(job)).counts.pending:
                kill(worker)
                kills += 1
                worker = site.start_worker()
        await site.ended(job, 240)
        case.assert_done(site, await site.results(job))
        writes, _, seen = count(site)
    # What was on the wire at a kill is done again: at most a batch a seat each time
    assert writes <= 1.1 * case.least_writes + kills * 3 * 20, seen
