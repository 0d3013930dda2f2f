"""What a list makes of its tenant is a job like any other: it waits for a second person, goes on
after a killed worker, spares who must not be touched, and can be undone.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.guests.synced import ROLES, Synced, count_writes, guests
from tests.integration.guests.test_sync import run
from tests.sites import QUOTA, Site, kill

pytestmark = pytest.mark.sandbox(
    options=("--quota", "off"), latency="0", replication="0", roles=ROLES, quota=QUOTA, settle_s=4
)


@pytest.mark.sandbox(
    options=("--quota", "off"), latency="0", replication="0", roles=ROLES, quota=QUOTA, require_approval="true"
)
async def test_it_waits_for_a_second_person(site: Site) -> None:
    """Nothing is written before, and no other run of the list begins; then all of it is done."""
    case = Synced(rows=20, joiners=1, leavers=1, movers=4, others=2)
    case.make(site)
    site.start_worker()
    told = run(site, case.write(site), "--yes", status=3)
    assert (told["state"], sum(count_writes(site).values())) == ("held", 0)
    assert "usher jobs approve" in told["err"]
    assert f"usher jobs approve {told['job']}" in run(site, case.write(site), "--yes", status=2)["error"]
    info = {**(await site.view(told["job"])).info, "by": "ada", "host": "elsewhere"}  # one account is no two people
    client: Any = site.desk.client
    await client.hset(site.desk.keys.job(told["job"]), "info", json.dumps(info))
    status, out, err = site.run("jobs", "approve", told["job"], "--json", "--yes")
    assert (status, json.loads(out)["state"] in ("running", "done")) == (0, True), err
    await site.ended(told["job"])
    case.assert_done(site)


async def test_a_killed_worker_changes_nothing_of_it(site: Site) -> None:
    """Each thing is done once, whoever does it."""
    case = Synced(rows=300, joiners=60, leavers=10, movers=40, others=5)
    case.make(site)
    site.sandbox.ask("latency", {"latency": "0.1", "replication": "0"})
    first = site.start_worker()
    job = str(run(site, case.write(site), "--yes", "--detach", status=3)["job"])
    await site.some(job, 20)
    kill(first)
    site.start_worker()
    view = await site.ended(job, 60)
    assert (view.counts.failed, view.counts.done) == (0, 60)
    case.assert_done(site)
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (60, 0)


async def test_who_must_not_be_touched_is_not_and_the_rest_can_be_undone(site: Site) -> None:
    """A leaver who may take a directory role stays; one who was disabled is enabled by undo, and of
    who was invited it says that nothing undoes it.
    """
    case = Synced(rows=80, joiners=1, leavers=3, movers=0, others=2)
    case.make(site)
    site.sandbox.ask("users", {"action": "role", "email": "left0@partner.example", "role": "eligible"})
    site.start_worker()
    told = run(site, case.write(site), "--yes", status=1)
    stages = told["stages"]["disable"]
    assert (stages["rows"], stages["done"], stages["failed"]) == (3, 2, 1)
    now = guests(site)
    assert [now[f"left{number}@partner.example"]["enabled"] for number in range(3)] == [True, False, False]
    (row,) = (row for row in await site.results(told["job"]) if row["disable_status"] == "failed")
    assert "directory role" in row["disable_error"]
    status, out, err = site.run("guests", "undo", told["job"], "--yes", "--json")
    undone = json.loads(out.splitlines()[-1])
    assert (status, undone["stages"]["enable"]["done"]) == (1, 2), err
    now = guests(site)
    assert all(now[f"left{number}@partner.example"]["enabled"] for number in range(3))
    again = run(site, case.write(site))
    assert again["plan"]["would"] == {"join": 0, "return": 0, "move": 0, "leave": 3}
