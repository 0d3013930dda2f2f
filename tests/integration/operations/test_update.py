"""Guests who are there are updated by a real worker: only what differs is written, once, and
nothing of it makes anybody a guest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from tests.staged import GROUPS, ROLES, companies, make_groups, members, writes
from worker.ledger.model import Counts

GUARD = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory"]


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may change users and groups, and see whom to spare."""
    async with open_site(valkey_url, sandbox, latency="0.02", replication="0", roles=[*ROLES, *GUARD]) as site:
        make_groups(site)
        yield site


def add(site: Site, count: int) -> list[str]:
    """Put guests into the tenant; returns their addresses."""
    emails = [f"u{n}@partner.example" for n in range(count)]
    site.sandbox.ask("users", {"action": "add", "users": [{"email": email} for email in emails]})
    return emails


async def submit(site: Site, job: str, given: Sequence[Mapping[str, Any]]) -> str:
    """Submit a list of updates; returns the job's id."""
    rows = [ValidRow(n, n, dict(row)) for n, row in enumerate(given, 1)]
    connection = load_settings(site.env).connection("contoso")
    loaded = await load(site.desk.jobs, connection, rows, job=job, operation="update")
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    return job


async def test_only_the_difference_is_written_whatever_dies(site: Site) -> None:
    """A worker is killed in the middle and answers are lost: each guest is written once, joins the
    groups that the row names, and keeps those it was in. The list once more writes nothing.
    """
    emails = add(site, 60)
    site.sandbox.ask("groups", {"action": "change", "groups": [{"name": GROUPS[0], "members": emails[:20]}]})
    given = [{"email": email, "company": "Partner Ltd", "groups": list(GROUPS[:2])} for email in emails]
    first = site.start_worker()
    site.sandbox.ask("faults", {"spec": "504-after@item@update_user=0.2"})
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await submit(site, "one", given)
    await site.some(job, 5)
    kill(first)
    site.sandbox.ask("latency", {"latency": "0.05"})
    site.sandbox.ask("faults", {"spec": ""})
    site.start_worker()
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=60, done=60)
    assert view.stages == {"groups": Counts(rows=60, done=60)}
    assert companies(site)["Partner Ltd"] == 60
    assert members(site) == {name: sorted(emails) if name in GROUPS[:2] else [] for name in GROUPS}
    written = writes(site, "update_user") + writes(site, "update_group")
    view = await site.ended(await submit(site, "two", given))
    assert view.counts == Counts(rows=60, already=60)
    assert view.stages == {"groups": Counts(rows=60, already=60)}
    assert writes(site, "update_user") + writes(site, "update_group") == written
    assert writes(site, "invite") == 0


async def test_nobody_else_is_touched(site: Site) -> None:
    """Whoever is not there, is a member, or holds a role: the row says why, and so do stages."""
    emails = add(site, 3)
    site.sandbox.ask("users", {"action": "role", "email": emails[0], "role": "assigned"})
    who = [*emails, "nobody@partner.example", "ada@contoso.example"]
    site.start_worker()
    job = await submit(site, "one", [{"email": email, "company": "New", "groups": ["G0"]} for email in who])
    view = await site.ended(job)
    assert view.counts == Counts(rows=5, done=2, failed=3)
    assert view.stages["groups"] == Counts(rows=5, done=2, skipped=3)
    assert [row["error_code"] for row in await site.results(job)] == ["role_holder", "", "", "not_there", "own_member"]
    assert members(site)["G0"] == emails[1:]
    assert writes(site, "update_user") == 2
