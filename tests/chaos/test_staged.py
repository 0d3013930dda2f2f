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
@pytest.mark.parametrize("kills", [0, 12], ids=["in peace", "killed every five seconds"])
async def test_a_thousand_guests_of_forty_groups(own_site: Site, kills: int) -> None:
    """Two groups each, sponsors and names, a directory that lags by 20 s, 1 % of answers lost, 5 %
    of rows with a group that is none: everybody in just the right groups, each failure named, and
    the writes within a tenth of the fewest.
    """
    site = own_site
    site.sandbox.ask("policy", {"roles": [*ROLES, "User.ReadWrite.All"]})
    names = [f"Team {n}" for n in range(40)]
    site.sandbox.ask("groups", {"action": "add", "groups": [{"name": name, "kind": "security"} for name in names]})
    sponsor = await site.load(["sponsor@partner.example"])
    worker = site.start_worker(8)
    await site.ended(sponsor)
    site.sandbox.ask("latency", {"latency": "0.1", "replication": "20"})
    site.sandbox.ask("faults", {"spec": "504-after@item=0.01"})
    given = [
        {
            "email": f"g{n}@partner.example",
            "first_name": "Ann",
            "last_name": f"Lee {n}",
            "sponsors": ["sponsor@partner.example"],
            "groups": [names[n % 40], "No such group" if n % 20 == 0 else names[(n * 7 + 1) % 40]],
        }
        for n in range(1000)
    ]
    before = {name: writes(site, name) for name in WRITES}
    job = await submit(site, given)
    for _ in range(kills):
        await asyncio.sleep(5)  # the rhythm is the test
        if (await site.view(job)).ended:
            break
        kill(worker)
        worker = site.start_worker(8)
    view = await site.ended(job, 400)
    assert view.counts.done == 1000
    assert view.stages["profile"].done == view.stages["sponsors"].done == 1000
    assert (view.stages["groups"].done, view.stages["groups"].failed) == (950, 50)
    people = {name: {row["email"] for row in given if name in row["groups"]} for name in names}
    found = {name: site.sandbox.ask(f"groups?name={name.replace(' ', '%20')}")[0]["members"] for name in names}
    assert {name: set(there) for name, there in found.items()} == people
    failed = [row for row in await site.results(job) if row["groups_status"] == "failed"]
    assert len(failed) == 50
    assert all("No such group" in row["groups_error"] for row in failed)
    fewest = 1000 + 1000 + sum(-(-len(there) // 20) for there in people.values())
    made = sum(writes(site, name) - before[name] for name in WRITES)
    assert made <= 1.1 * fewest + 40 * kills  # a kill repeats what was on the wire


WRITES = ("invite", "update_user", "update_group", "add_member", "add_sponsor")
