"""What comes after the invitation is done for each guest by jobs of other operations, fed while the
invitations end: a real worker, the sandbox, its profiles and groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.sandboxes import Sandbox
from tests.sites import Site, open_site
from worker.ledger.model import Counts, JobState
from worker.ledger.stages import stage_id

ROLES = [
    *("User.Invite.All", "User.Read.All", "User.ReadWrite.All"),
    *("Group.Read.All", "GroupMember.ReadWrite.All", "GroupMember.Read.All"),
]
STAGES = ("profile", "groups")


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may change users and groups."""
    async with open_site(valkey_url, sandbox, latency="0.02", replication="0", roles=ROLES) as site:
        groups = [{"name": f"G{n}", "kind": "security"} for n in range(4)]
        site.sandbox.ask("groups", {"action": "add", "groups": groups})
        yield site


def rows(count: int, groups: int = 2) -> list[dict[str, Any]]:
    """Return rows, each with a company and so many of the four groups."""
    return [
        {
            "email": f"g{n}@partner.example",
            "company": "Partner Ltd",
            **({"groups": [f"G{(n + k) % 4}" for k in range(groups)]} if groups else {}),
        }
        for n in range(count)
    ]


async def submit(site: Site, given: Sequence[Mapping[str, Any]], *, job: str = "root", pilot: int = 0) -> str:
    """Submit a list with stages; returns the job's id."""
    connection = load_settings(site.env).connection("contoso")
    loaded = await load(
        site.desk.jobs,
        connection,
        [ValidRow(n, n, dict(row)) for n, row in enumerate(given, 1)],
        job=job,
        pilot=pilot,
        stages=STAGES,
    )
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    return job


def members(site: Site) -> dict[str, list[str]]:
    """Return who is in each of the four groups."""
    return {f"G{n}": sorted(site.sandbox.ask(f"groups?name=G{n}")[0]["members"]) for n in range(4)}


def wanted(given: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return who should be."""
    return {f"G{n}": sorted(row["email"] for row in given if f"G{n}" in row.get("groups", ())) for n in range(4)}


def companies(site: Site) -> Counter[str]:
    """Return the guests by their company."""
    return Counter(user["company"] for user in site.sandbox.ask("guests?limit=5000"))


async def test_each_guest_goes_through_the_stages_of_its_row(site: Site) -> None:
    """Profile and groups are done for whoever was invited, each once, in as few writes as there can
    be; counts and results tell of each stage.
    """
    given = [*rows(120), {"email": "plain@partner.example"}]
    job = await submit(site, given)
    site.start_worker()
    view = await site.ended(job)
    assert view.state is JobState.DONE
    assert view.counts == Counts(rows=121, done=121)
    assert view.stages == {"profile": Counts(rows=120, done=120), "groups": Counts(rows=120, done=120)}
    assert companies(site)["Partner Ltd"] == 120
    assert members(site) == wanted(given)
    writes = site.sandbox.ask("stats")["items"]
    assert sum(writes["update_group"].values()) == 4 * 3
    assert sum(writes["update_user"].values()) == 120
    results = await site.results(job)
    assert [row["groups_status"] for row in results] == [*["done"] * 120, ""]
    assert {row["groups_error"] + row["profile_error"] for row in results} == {""}
    site.assert_all_mailed_once(121)
    assert [view.id for view in await site.desk.jobs.listed()] == [job]
    assert await site.desk.jobs.matching("root") == [job]
    assert (await site.view(stage_id(job, "groups"))).counts == Counts(rows=240, done=240)
