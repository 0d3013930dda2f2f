"""Lists whose rows ask for stages, for tests with real workers: four groups, a company, and what
the sandbox shows of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import load, start
from tests.sites import Site
from worker.ledger.model import Lane, Options

ROLES = [
    *("User.Invite.All", "User.Read.All", "User.ReadWrite.All"),
    *("Group.Read.All", "GroupMember.ReadWrite.All", "GroupMember.Read.All"),
]
"""What an app needs for these stages."""
GROUPS = tuple(f"G{n}" for n in range(4))


def make_groups(site: Site) -> None:
    """Give the tenant the groups."""
    site.sandbox.ask("groups", {"action": "add", "groups": [{"name": name, "kind": "security"} for name in GROUPS]})


def make_rows(count: int, groups: int = 2) -> list[dict[str, Any]]:
    """Return rows, each with a company and so many of the groups."""
    return [
        {
            "email": f"g{n}@partner.example",
            "company": "Partner Ltd",
            "groups": [GROUPS[(n + k) % len(GROUPS)] for k in range(groups)],
        }
        for n in range(count)
    ]


async def submit(
    site: Site,
    given: Sequence[Mapping[str, Any]],
    *,
    job: str = "root",
    pilot: int = 0,
    lane: Lane = Lane.BULK,
    options: Options | None = None,
) -> str:
    """Submit a list with stages; returns the job's id."""
    connection = load_settings(site.env).connection("contoso")
    rows = [ValidRow(number, number, dict(row)) for number, row in enumerate(given, 1)]
    loaded = await load(site.desk.jobs, connection, rows, job=job, pilot=pilot, lane=lane, options=options)
    await start(site.desk.jobs, loaded)
    return job


def members(site: Site) -> dict[str, list[str]]:
    """Return who is in each of the groups."""
    return {name: sorted(site.sandbox.ask(f"groups?name={name}")[0]["members"]) for name in GROUPS}


def wanted(given: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return who should be."""
    return {name: sorted(row["email"] for row in given if name in row.get("groups", ())) for name in GROUPS}


def companies(site: Site) -> Counter[str]:
    """Return the guests by their company."""
    return Counter(user["company"] for user in site.sandbox.ask("guests?limit=5000"))


def writes(site: Site, operation: str) -> int:
    """Return how many writes the sandbox has answered."""
    return sum(site.sandbox.ask("stats")["items"].get(operation, {}).values())


async def until_stage(site: Site, job: str, stage: str, least: int, within_s: float = 20) -> None:
    """Wait until so many guests of a stage have ended, and not all."""

    async def look() -> bool:
        return (await site.view(job)).stages[stage].finished >= least

    await site.until(f"{least} guests of {stage}", look, within_s)
    assert (await site.view(job)).stages[stage].pending, "the stage was over too soon for this test"
