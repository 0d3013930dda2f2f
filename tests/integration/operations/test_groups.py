"""Guests are put into groups and teams by a real worker, with the sandbox's own counts as the judge
of how little was written.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.ledger.gates import HoldReason

ROLES = [
    *("User.Invite.All", "User.Read.All", "GroupMember.ReadWrite.All", "GroupMember.Read.All"),
    "TeamMember.ReadWriteNonOwnerRole.All",
]
WRITES = ("update_group", "add_member", "add_team_members")


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may put guests into groups and teams."""
    async with open_site(valkey_url, sandbox, latency="0.01", replication="0", roles=ROLES) as site:
        yield site


async def invite(site: Site, count: int, name: str = "g") -> list[dict[str, Any]]:
    """Make some guests; returns what a stage knows of each."""
    view = await site.ended(await site.load([f"{name}{n}@partner.example" for n in range(count)], job=name))
    assert view.counts.done == count
    return [
        {"email": row["email"], "user_id": row["user_id"], "new": True, "since": int(time.time() * 1000)}
        for row in await site.results(name)
    ]


def named(guests: Iterable[dict[str, Any]], target: str, **more: Any) -> list[dict[str, Any]]:
    """Return rows that name one target."""
    return [guest | {"target": target} | more for guest in guests]


def members(site: Site, name: str) -> set[str]:
    """Return the addresses of a group's members."""
    (group,) = site.sandbox.ask(f"groups?name={quote(name)}")
    return set(group["members"])


def count_writes(site: Site) -> int:
    """Return how many calls that change something reached the sandbox's groups and teams."""
    items = site.sandbox.ask("stats")["items"]
    return sum(count for name in WRITES for count in items.get(name, {}).values())


async def test_a_list_is_added_twenty_a_write(site: Site) -> None:
    """One write for each 20 of a group; nothing is read of guests whom the job has just invited."""
    site.start_worker()
    guests = await invite(site, 50)
    job = await site.load([*named(guests[:40], "Partners"), *named(guests[40:], "Suppliers")], operation="groups")
    view = await site.ended(job)
    assert view.counts.done == 50
    assert members(site, "Partners") == {guest["email"] for guest in guests[:40]}
    assert members(site, "Suppliers") == {guest["email"] for guest in guests[40:]}
    assert count_writes(site) == 3
    assert "members" not in site.sandbox.ask("stats")["items"]


async def test_members_cost_no_write(site: Site) -> None:
    """A list that comes again: its group is read once, and only who is new there is written."""
    site.start_worker()
    guests = await invite(site, 60)
    await site.ended(await site.load(named(guests[:55], "Partners"), operation="groups"))
    before = count_writes(site)
    view = await site.ended(await site.load(named(guests, "Partners", new=False), operation="groups"))
    assert (view.counts.done, view.counts.already) == (5, 55)
    assert count_writes(site) - before == 1
    assert sum(site.sandbox.ask("stats")["items"]["members"].values()) == 1
    assert len(members(site, "Partners")) == 60


async def test_groups_that_take_nobody(site: Site) -> None:
    """Found out beforehand where Graph shows it, without a write; else said once for the job, and
    the rest of the group's rows is not tried.
    """
    site.start_worker()
    guests = await invite(site, 50)
    told = ["All Guests (dynamic)", "Staff (synced)", "Sales (mail-enabled)", "Helpdesk (roles)", "Namesake", "Nobody"]
    job = await site.load([row for name in told for row in named(guests[:2], name)], operation="groups")
    assert (await site.ended(job)).counts.failed == 2 * len(told)
    assert count_writes(site) == 0
    says = {row["error_message"] for row in await site.results(job)}
    assert len(says) == len(told)
    assert all(any(name in said for said in says) for name in told)
    for name, word in (("Board", "guests"), ("Full House", "full")):
        before = count_writes(site)
        job = await site.load(named(guests, name), operation="groups")
        assert (await site.ended(job)).counts.failed == 50
        assert count_writes(site) - before <= 4, "one for each seat that was at it"
        said = {row["error_message"].removeprefix("Not sent: ") for row in await site.results(job)}
        assert len(said) == 1
        assert f"“{name}”" in min(said)
        assert word in min(said)


async def test_one_bad_member_spoils_nobody_else(site: Site) -> None:
    """A call that is refused for a reason nobody knows is taken apart, once; for a member's sake it
    is sent again without the member.
    """
    site.start_worker()
    guests = await invite(site, 20)
    site.sandbox.ask("groups", {"action": "change", "groups": [{"name": "Partners", "members": [guests[3]["email"]]}]})
    for name, most in (("Partners", 2), ("Suppliers", 21)):
        if name == "Suppliers":
            odd = {
                "fault": "error",
                "on": "update_group",
                "status": 400,
                "code": "Request_BadRequest",
                "message": "Odd.",
            }
            site.sandbox.ask("faults", {"faults": [odd | {"times": 1}]})
        before = count_writes(site)
        view = await site.ended(await site.load(named(guests, name), operation="groups"))
        assert view.counts.done == 20
        assert len(members(site, name)) == 20
        assert count_writes(site) - before <= most


async def test_lost_answers_cost_a_read_and_no_second_write(site: Site) -> None:
    """504 after the write was done: who is a member then is not sent again."""
    site.start_worker()
    guests = await invite(site, 60)
    site.sandbox.ask("faults", {"spec": "504-after@update_group=1*2"})
    job = await site.load(named(guests, "Partners"), operation="groups")
    view = await site.ended(job)
    assert view.counts.done == 60
    assert len(members(site, "Partners")) == 60
    assert count_writes(site) == 3


async def test_a_killed_worker_leaves_no_guest_out(site: Site) -> None:
    """Nor does it add anybody twice."""
    site.sandbox.ask("latency", {"latency": "0.3"})
    worker = site.start_worker()
    guests = await invite(site, 200)
    job = await site.load(named(guests, "Partners"), operation="groups")
    await site.some(job, 20)
    kill(worker)
    site.start_worker()
    view = await site.ended(job)
    assert view.counts.done == 200
    assert len(members(site, "Partners")) == 200
    assert count_writes(site) <= 10 + 4


async def test_a_missing_right_holds_that_step_alone(site: Site) -> None:
    """It says which, and goes on once it is there; invitations are not touched by it."""
    site.sandbox.ask("policy", {"roles": ROLES[:2]})
    site.start_worker()
    guests = await invite(site, 5)
    job = await site.load(named(guests, "Partners"), operation="groups")

    async def held() -> bool:
        return (await site.view(job)).gate.kind is HoldReason.PERMISSION

    await site.until("a channel that is held", held)
    assert "GroupMember.Read.All" in (await site.view(job)).gate.why
    await invite(site, 5, "h")
    site.sandbox.ask("policy", {"roles": ROLES})
    await site.desk.gates.reopen("contoso")
    assert (await site.ended(job)).counts.done == 5


async def test_teams_take_two_hundred_with_one_call(site: Site) -> None:
    """Each guest has an answer of their own; a group without a team is refused beforehand."""
    site.start_worker()
    guests = await invite(site, 30)
    job = await site.load([*named(guests, "Project Alpha"), *named(guests[:1], "Partners")], operation="teams")
    view = await site.ended(job)
    assert (view.counts.done, view.counts.failed) == (30, 1)
    assert len(members(site, "Project Alpha")) == 30
    assert count_writes(site) == 1


async def test_what_rows_name_is_found_once_for_the_job(site: Site) -> None:
    """Kept with the job, whatever number of rows and chunks name it."""
    site.start_worker()
    guests = await invite(site, 150)
    job = await site.load([*named(guests[:75], "Partners"), *named(guests[75:], "Suppliers")], operation="groups")
    await site.ended(job)
    kept = await site.desk.client.hlen(site.desk.keys.job_targets(job))
    assert kept == 2
    assert sum(site.sandbox.ask("stats")["items"]["groups"].values()) <= 4, "each seat may ask before one has found it"
