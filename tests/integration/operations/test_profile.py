"""Profiles and sponsors on a real worker: written once, only where they differ; what one stage may
not do holds that stage alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.ledger.gates import HoldReason
from worker.ledger.job_targets import JobTargets, Target, TargetKind
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState

WRITES = ("invite", "update_user", "update_group", "add_member", "add_sponsor")
LEAST = ["User.Invite.All", "User.Read.All", "User.ReadUpdate.All", "GroupMember.ReadWrite.All"]


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may do what these stages need, and no more."""
    async with open_site(valkey_url, sandbox, latency="0.02", replication="0", roles=LEAST) as site:
        yield site


async def submit(site: Site, job: str, given: Sequence[Mapping[str, Any]], known: Sequence[Target] = ()) -> str:
    """Submit a list with stages; returns the job's id. `known`: what names in it stand for, as a
    command finds out beforehand.
    """
    rows = [ValidRow(n, n, dict(row)) for n, row in enumerate(given, 1)]
    loaded = await load(site.desk.jobs, load_settings(site.env).connection("contoso"), rows, job=job)
    assert isinstance(loaded, Loaded)
    await JobTargets(site.desk.client, site.desk.keys).keep(job, known)
    await start(site.desk.jobs, loaded)
    return job


def people(count: int, **columns: Any) -> list[dict[str, Any]]:
    """Return rows that say something of their guests."""
    return [{"email": f"p{n}@partner.example", **columns} for n in range(count)]


def written(site: Site, operation: str) -> dict[str, int]:
    """Return how often the sandbox was asked for a write, by status."""
    found: dict[str, int] = site.sandbox.ask("stats")["items"].get(operation, {})
    return found


async def test_a_list_that_comes_again_writes_the_difference_alone(site: Site) -> None:
    """All that the first run wrote is read back as it was written; members of the tenant are left
    alone.
    """
    site.start_worker()
    full = {
        "first_name": "Ann",
        "last_name": "Berg",
        "company": "Partner",
        "department": "Sales",
        "job_title": "Buyer",
        "usage_location": "NO",
        "phone": "+47 22 00 00 00",
        "expires": "2031-12-31",
    }
    view = await site.ended(await submit(site, "first", people(45, **full)))
    assert view.stages == {"profile": Counts(rows=45, done=45)}
    assert written(site, "update_user") == {"204": 45}
    again = people(45, **full)
    again[7]["company"] = again[31]["company"] = "Other"
    view = await site.ended(await submit(site, "again", again))
    assert view.counts == Counts(rows=45, skipped=45)
    assert view.stages == {"profile": Counts(rows=45, done=2, already=43)}
    assert written(site, "update_user") == {"204": 47}
    assert [row["profile_status"] for row in await site.results("again")].index("done") == 7
    site.assert_all_mailed_once(45)


async def test_a_dry_run_says_what_would_be_written(site: Site) -> None:
    """Of each stage: for how many guests something is to be written, who is so already, who would
    fail; nothing is written.
    """
    worker = site.start_worker()
    members = people(40, company="Partner", groups=["Partners"])
    await site.ended(await submit(site, "first", members))
    kill(worker)
    before = site.sandbox.ask("stats")["items"]
    path = site.folder / "list.csv"
    lines = [f"{row['email']},Partner,Partners" for row in members]
    lines[3], lines[4] = "p3@partner.example,Other,Partners", "p4@partner.example,Partner,Partners;Suppliers"
    lines += ["new@partner.example,Partner,Partners", "p5@partner.example,Twice,Suppliers"]
    path.write_text("\n".join(["email,company,groups", *lines]) + "\n")
    arguments = ("invite", str(path), "-c", "contoso", "--dry-run")
    status, out, _ = await asyncio.to_thread(site.run, *arguments, "--json")
    told = json.loads(out)["plan"]["stages"]
    assert status == 0, out
    assert told["profile"]["would"] == {"do": 2, "already": 39, "skip": 0, "wait": 0, "refuse": 0}
    assert told["groups"]["would"] == {"do": 2, "already": 39, "skip": 0, "wait": 0, "refuse": 0}
    _, out, _ = await asyncio.to_thread(site.run, *arguments)
    assert "2 to write, 39 so already" in out
    after = site.sandbox.ask("stats")["items"]
    assert {name: after.get(name) for name in WRITES} == {name: before.get(name) for name in WRITES}


async def test_a_missing_right_holds_that_stage_alone(site: Site) -> None:
    """Invitations and memberships go on; the job waits for the stage, names it and the least
    permission, and a check that finds the permission lets it go on.
    """
    site.sandbox.ask("policy", {"roles": [role for role in LEAST if role != "User.ReadUpdate.All"]})
    site.start_worker()
    given = people(25, company="Partner", groups=["Partners"])
    await submit(site, "root", given)

    async def held() -> JobView | None:
        view = await site.view("root")
        return view if view.state is JobState.HELD else None

    view = await site.until("the hold of what is left", held)
    assert view.counts == Counts(rows=25, done=25)
    assert view.stages == {"profile": Counts(rows=25, pending=25), "groups": Counts(rows=25, done=25)}
    assert view.gate.kind is HoldReason.PERMISSION
    assert "profile" in view.why
    assert "User.ReadUpdate.All" in view.why
    more = await site.ended(await submit(site, "more", [{"email": "new@partner.example"}]))
    assert more.counts.done == 1
    status, out, _ = await asyncio.to_thread(site.run, "connections", "check", "contoso")
    assert (status, "The stage profile is held, and all else goes on" in out) == (1, True), out
    site.sandbox.ask("policy", {"roles": LEAST})
    site.sandbox.ask("tokens", {"action": "revoke"})  # the worker's is so new that it would be believed for a while
    status, out, _ = await asyncio.to_thread(site.run, "connections", "check", "contoso")
    assert (status, "The stage profile was held for what is good now" in out) == (0, True), out
    view = await site.ended("root", 60)
    assert view.stages["profile"] == Counts(rows=25, done=25)
    site.assert_all_mailed_once(26)


async def test_a_protected_guest_ends_its_own_row_alone(site: Site) -> None:
    """Whoever may be given a role is changed by no application: that row says so, and no other
    waits.
    """
    site.start_worker()
    await site.ended(await submit(site, "first", people(30)))
    site.sandbox.ask(
        "groups", {"action": "add", "name": "Chiefs", "kind": "role-assignable", "members": ["p4@partner.example"]}
    )
    view = await site.ended(await submit(site, "root", people(30, phone="+47 1")))
    assert view.stages["profile"] == Counts(rows=30, done=29, failed=1)
    results = await site.results("root")
    assert [row["profile_status"] for row in results].index("failed") == 4
    assert "directory role" in results[4]["profile_error"]


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
async def test_sponsors_cost_one_write_a_guest_at_most(site: Site, taken: bool) -> None:
    """None where Graph takes them with the invitation, one each where it ignores them; a list that
    comes again costs none. One that is nobody ends its rows with a sentence.
    """
    site.sandbox.ask("policy", {"roles": [*LEAST, "User.ReadWrite.All"], "sponsors_taken": taken})
    site.start_worker()
    ada = site.sandbox.ask("guests?address=ada@contoso.example")[0]["id"]
    group = site.sandbox.ask("groups?name=Partners")[0]["id"]
    known = [
        Target(ada, "ada@contoso.example", TargetKind.SPONSOR, collection="users"),
        Target(group, "Partners", TargetKind.SPONSOR),
    ]
    sponsors = [target.name for target in known]
    view = await site.ended(await submit(site, "root", people(25, sponsors=sponsors), known=known))
    assert view.stages == {"sponsors": Counts(rows=25, done=25)}
    assert written(site, "add_sponsor") == ({} if taken else {"204": 50})
    view = await site.ended(await submit(site, "again", people(25, sponsors=[*sponsors, "nobody"])))
    assert view.stages == {"sponsors": Counts(rows=25, failed=25)}
    assert written(site, "add_sponsor") == ({} if taken else {"204": 50})
    assert "nobody" in (await site.results("again"))[0]["sponsors_error"]
    guests = [site.sandbox.ask(f"guests?address=p{n}@partner.example")[0] for n in (0, 24)]
    assert [sorted(guest["sponsors"]) for guest in guests] == [sorted([ada, group])] * 2
    assert written(site, "remove_sponsor") == written(site, "delete_user") == {}
