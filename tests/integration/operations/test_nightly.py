"""The same list comes every night, with a change or two: those are written, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.sandboxes import Sandbox
from tests.sites import QUOTA, open_site
from tests.whole_way import ROLES, WholeWay, count

_QUOTA = QUOTA + 'writes_per_app_and_tenant = "100000/1s"\nwrites_per_tenant = "100000/1s"\n'


@pytest.mark.parametrize("rows", [300, pytest.param(5000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_only_the_difference_is_written(valkey_url: str, sandbox: Sandbox, rows: int) -> None:
    """One new guest, and one new group for ten others: the dry run says so beforehand, and no call
    changes anything else.
    """
    case = WholeWay(rows, 10, bad_every=0)
    async with open_site(valkey_url, sandbox, latency="0.01", replication="0", roles=ROLES, quota=_QUOTA) as site:
        case.make(site)
        site.start_worker()
        await site.ended(case.submit(site), 300)
        case.grow("Newcomers", 10)
        case.make(site)
        arguments = ("invite", case.write(site), "-c", "contoso", "--json", "--dry-run")
        would = json.loads(site.run(*arguments).out)["plan"]["stages"]
        told = {stage: {word: n for word, n in would[stage]["would"].items() if n} for stage in ("profile", "groups")}
        assert told == {"profile": {"do": 1, "already": rows}, "groups": {"do": 11, "already": rows - 10}}
        before, _, _ = count(site)
        job = case.submit(site)
        view = await site.ended(job, 300)
        writes, _, seen = count(site)
        # an invitation, a name, two groups of that guest, and ten others at once into one
        assert writes - before == 1 + 1 + 2 + 1, seen
        groups = view.stages["groups"]
        assert (groups.done, groups.already, groups.failed) == (11, rows - 10, 0)
        case.assert_done(site, await site.results(job))
