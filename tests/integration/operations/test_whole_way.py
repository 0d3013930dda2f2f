"""A list's guests go the whole way into the organisation, with as little written as can be."""

from __future__ import annotations

import pytest

from tests.sandboxes import Sandbox
from tests.sites import open_site
from tests.whole_way import ROLES, WholeWay, count
from worker.ledger.model import Counts

FAULTS = "504-after@item=0.01,504-after@update_group=0.01"
"""One answer in a hundred is lost after the work was done."""


@pytest.mark.parametrize(
    ("rows", "groups", "lag_s"),
    [(120, 8, 2), pytest.param(1000, 40, 20, marks=[pytest.mark.long, pytest.mark.timeout(300)])],
)
async def test_every_guest_is_where_the_list_says(
    valkey_url: str, sandbox: Sandbox, rows: int, groups: int, lag_s: int
) -> None:
    """Two groups each, names and a sponsor, with a lag, lost answers and groups that take nobody:
    each guest in exactly the right groups, each failed step named, within a tenth of the least
    writes and with three reads a row.
    """
    case = WholeWay(rows, groups)
    async with open_site(
        valkey_url, sandbox, latency="0.02", replication=str(lag_s), roles=ROLES, settle_s=lag_s + 4
    ) as site:
        case.make(site)
        site.sandbox.ask("faults", {"spec": FAULTS})
        job = case.submit(site)
        site.start_worker()
        view = await site.ended(job, 240)
        assert view.stages["groups"] == Counts(rows=rows, done=rows - len(case.bad), failed=len(case.bad))
        case.assert_done(site, await site.results(job))
        writes, reads, seen = count(site)
        print(writes, case.least_writes, reads, seen)
    assert writes <= 1.1 * case.least_writes, seen
    assert reads <= 3 * rows, seen
