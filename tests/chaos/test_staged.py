"""Whatever dies in the middle of a stage, each guest ends in just the right groups, and nobody is
invited twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.chaos.test_restored import held, usher
from tests.sites import OwnValkey, Site, kill
from tests.staged import ROLES, companies, make_groups, make_rows, members, submit, until_stage, wanted, writes
from worker.ledger.model import Counts

pytestmark = pytest.mark.sandbox(latency="0.2", replication="0-1", roles=ROLES)


async def all_done(site: Site, job: str, rows: int, within_s: float = 90) -> None:
    """Wait for the end: every guest with company and groups, everybody mailed once."""
    view = await site.ended(job, within_s)
    assert view.counts.done + view.counts.already == rows
    assert view.stages == {"profile": Counts(rows=rows, done=rows), "groups": Counts(rows=rows, done=rows)}
    assert members(site) == wanted(make_rows(rows))
    assert companies(site)["Partner Ltd"] == rows
    site.assert_all_mailed_once(rows)


async def test_workers_and_redis_die_in_the_middle_of_stages(own_site: Site, own_valkey: OwnValkey) -> None:
    """Killed with invitations and items on the wire, thrice, then Redis, then the broker's keys."""
    site = own_site
    make_groups(site)
    job = await submit(site, make_rows(400))
    for least in (30, 90, 150):
        worker = site.start_worker()
        await until_stage(site, job, "profile", least, 40)
        kill(worker)
    site.start_worker()
    await until_stage(site, job, "profile", 200, 40)
    own_valkey.kill()
    own_valkey.start_again()
    await until_stage(site, job, "profile", 260, 40)
    await site.delete_keys("mq")
    await all_done(site, job, 400)


async def test_a_failover_that_loses_ends_of_rows_feeds_no_stage_twice(own_site: Site, own_valkey: OwnValkey) -> None:
    """The ledger forgets a second of invitations and items: the worker writes its own again, and
    every guest has just the items of their row.
    """
    site = own_site
    make_groups(site)
    job = await submit(site, make_rows(400))
    site.start_worker()
    await until_stage(site, job, "profile", 20, 40)
    copy = own_valkey.copy()
    await site.some(job, (await site.view(job)).counts.finished + 20)
    own_valkey.put_back(copy)
    await all_done(site, job, 400)
    stages = [await site.view(f"{job}~{name}") for name in ("profile", "groups")]
    assert [view.counts.rows for view in stages] == [400, 800]


async def test_a_restored_backup_goes_on_with_its_stages(own_site: Site, own_valkey: OwnValkey) -> None:
    """Restored in the middle of a stage and verified: who was invited since is fed, what was done
    since is found done, and nobody is mailed twice.
    """
    site = own_site
    make_groups(site)
    worker = site.start_worker()
    job = await submit(site, make_rows(400))
    await until_stage(site, job, "profile", 20, 40)
    copy = own_valkey.copy()
    await site.some(job, (await site.view(job)).counts.finished + 60)
    kill(worker)
    own_valkey.put_back(copy)
    client: Any = site.desk.client
    keys = site.desk.keys
    await client.hincrby(keys.epoch(), "beat", -5 * 3_600_000)
    for process in await client.zrange(keys.here(), 0, -1):
        await client.zincrby(keys.here(), -5 * 3_600_000, process)
    site.start_worker()
    await site.until("the hold", lambda: held(site))
    assert (await usher(site, "jobs", "verify")).returncode == 0
    view = await site.ended(job, 90)
    assert (view.counts.done, view.counts.already) == (400, 0)
    for counts in view.stages.values():
        assert (counts.rows, counts.done + counts.already) == (400, 400)
    assert members(site) == wanted(make_rows(400))
    assert companies(site)["Partner Ltd"] == 400
    site.assert_all_mailed_once(400)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_worker_dies_every_five_seconds_with_faults_on_the_way(own_site: Site) -> None:
    """1,000 rows with a lag of 20 s, lost answers, and a SIGKILL every five seconds: groups are
    right, and writes stay within a tenth of the fewest, beside those that a kill repeats.
    """
    site = own_site
    make_groups(site)
    site.sandbox.ask("latency", {"latency": "0.1", "replication": "0-20"})
    site.sandbox.ask("faults", {"spec": "504-after@item=1/100"})
    job = await submit(site, make_rows(1000))
    worker, kills = site.start_worker(), 0
    while not (await site.view(job)).ended:
        await asyncio.sleep(5)  # the rhythm is the test
        if kills < 12:
            kill(worker)
            kills += 1
            worker = site.start_worker()
    assert kills >= 5
    await all_done(site, job, 1000)
    assert writes(site, "update_user") <= 1100 + 60 * kills
