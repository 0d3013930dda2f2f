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
    site.sandbox.ask("latency", {"latency": "0.4", "replication": "0"})
    first = site.start_worker()
    job = str(run(site, case.write(site), "--yes", "--detach", status=3)["job"])
    await site.some(job, 20)
    kill(first)
    site.sandbox.ask("latency", {"latency": "0.05"})
    site.start_worker()
    view = await site.ended(job, 60)
    assert (view.counts.failed, view.counts.done) == (0, 60)
    case.assert_done(site)
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (60, 0)


def give_role(site: Site, email: str) -> None:
    """Let a guest be one who may take a directory role."""
    site.sandbox.ask("users", {"action": "role", "email": email, "role": "eligible"})


async def test_who_must_not_be_touched_is_not(site: Site) -> None:
    """Whoever holds or may take a directory role is neither disabled nor changed, and a member is
    not invited: the plan leaves them out, night after night, and says so. Who is given a role after
    the plan is spared too.
    """
    case = Synced(rows=80, joiners=1, leavers=3, movers=8, others=2)
    case.make(site)
    site.sandbox.ask("users", {"action": "add", "email": "eve@contoso.example", "user_type": "Member"})
    give_role(site, "left0@partner.example")
    give_role(site, "g0@partner.example")
    path = case.write(site, bad="eve@contoso.example,Partner Ltd,,,\n")
    told = run(site, path, "--yes", "--detach", status=3)
    assert told["plan"]["would"] == {"join": 1, "return": 0, "move": 7, "leave": 2}
    assert (told["plan"]["role_holders"], told["plan"]["members"]) == (2, 1)
    assert "1 person of the list" in told["err"]
    give_role(site, "left1@partner.example")
    give_role(site, "g4@partner.example")
    site.start_worker()
    view = await site.ended(told["job"])
    assert view.counts.failed == 2
    codes = {row["email"]: row["error_code"] for row in await site.results(told["job"]) if row["error_code"]}
    assert codes == dict.fromkeys(("g4@partner.example", "left1@partner.example"), "role_holder")
    now = guests(site)
    assert [now[f"left{number}@partner.example"]["enabled"] for number in range(3)] == [True, True, False]
    assert {now[f"g{number}@partner.example"]["company"] for number in (0, 4)} == {"Partner Ltd"}
    again = run(site, path, "--yes")
    assert (again["job"], again["plan"]["role_holders"], set(again["plan"]["would"].values())) == (None, 4, {0})


async def test_without_the_guard_nobody_who_is_there_is_changed(site: Site) -> None:
    """New guests are invited all the same, and a sentence names the permission."""
    case = Synced(rows=20, joiners=2, leavers=1, movers=4, others=0)
    case.make(site)
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if role != "RoleManagement.Read.Directory"]})
    told = run(site, case.write(site))
    assert told["plan"]["would"] == {"join": 2, "return": 0, "move": 0, "leave": 0}
    assert "RoleManagement.Read.Directory" in told["err"]


async def test_who_was_disabled_is_enabled_by_undo(site: Site) -> None:
    """Of who was invited it says that nothing undoes it."""
    case = Synced(rows=80, joiners=1, leavers=2, movers=0, others=2)
    case.make(site)
    site.start_worker()
    told = run(site, case.write(site), "--yes")
    assert told["stages"]["disable"]["done"] == 2
    status, out, err = site.run("guests", "undo", told["job"], "--yes", "--json")
    undone = json.loads(out.splitlines()[-1])
    assert (status, undone["stages"]["enable"]["done"]) == (1, 2), err
    now = guests(site)
    assert all(now[f"left{number}@partner.example"]["enabled"] for number in range(2))
    assert run(site, case.write(site))["plan"]["would"] == {"join": 0, "return": 0, "move": 0, "leave": 2}
