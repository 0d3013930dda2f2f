"""Guests leave groups by a real worker, as a stage of a job: only the membership goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from tests.staged import GROUPS, ROLES, make_groups, make_rows, members, submit, until_stage, wanted, writes
from worker.ledger.model import Counts

GUARD = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory"]


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place whose app may change groups, and see whom to spare."""
    async with open_site(valkey_url, sandbox, latency="0.02", replication="0", roles=[*ROLES, *GUARD]) as site:
        make_groups(site)
        yield site


def moved(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose guests leave the groups that they were in for the other two."""
    return [
        {
            "email": row["email"],
            "groups": [name for name in GROUPS if name not in row["groups"]],
            "leave_groups": row["groups"],
        }
        for row in given
    ]


async def test_guests_go_from_group_to_group(site: Site) -> None:
    """Each leaves what it is in, by one write, and joins the others; who is in none costs none, and
    who may take a role is left as they are. No account is touched, and a killed worker changes
    nothing of it.
    """
    given = make_rows(60)
    first = site.start_worker()
    await site.ended(await submit(site, given, job="before"))
    site.sandbox.ask("users", {"action": "role", "email": given[0]["email"], "role": "eligible"})
    site.sandbox.ask("faults", {"spec": "504-after@item@remove_member=0.1"})
    rows = [*moved(given), {"email": "new@partner.example", "leave_groups": ["G0"]}]
    job = await submit(site, rows)
    await until_stage(site, job, "leave", 10)
    kill(first)
    site.start_worker()
    view = await site.ended(job, 60)
    assert view.stages["groups"] == Counts(rows=60, done=60)
    assert view.stages["leave"] == Counts(rows=61, done=59, already=1, failed=1)
    spared = given[0]
    assert members(site) == {
        name: sorted(those + [spared["email"]] * (name in spared["groups"]))
        for name, those in wanted(moved(given)).items()
    }
    assert site.sandbox.ask("stats")["items"]["remove_member"]["204"] <= 2 * 59
    assert writes(site, "delete_user") == 0
    ends = {row["email"]: (row["leave_status"], row["leave_error"]) for row in await site.results(job)}
    assert ends["new@partner.example"] == ("already", "")
    assert ends[spared["email"]][0] == "failed"
    assert "directory role" in ends[spared["email"]][1]


async def test_a_group_that_usher_does_not_change_is_told(site: Site) -> None:
    """The rest of the row is done all the same."""
    site.start_worker()
    await site.ended(await submit(site, make_rows(3), job="before"))
    rows = [{"email": "g0@partner.example", "leave_groups": ["G0", "All Guests (dynamic)", "No such group"]}]
    view = await site.ended(await submit(site, rows))
    assert view.stages["leave"] == Counts(rows=1, failed=1)
    assert "g0@partner.example" not in members(site)["G0"]
    (row,) = await site.results("root")
    assert "dynamic" in row["leave_error"] or "No such group" in row["leave_error"]
