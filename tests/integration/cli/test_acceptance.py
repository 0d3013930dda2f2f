"""How many of a job's guests have accepted since is asked of the tenant, where somebody asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sites import Site

pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0")


def shown(site: Site, job: str, *options: str) -> Any:
    """What `jobs show` says, as JSON."""
    status, out, err = site.run("jobs", "show", job, "--json", *options)
    assert status == 0, err
    return json.loads(out)


async def test_jobs_show_counts_who_has_accepted_since(site: Site) -> None:
    """By id, 15 a request; whoever was there before is not of this job, who is deleted is gone."""
    site.start_worker()
    job = await site.load([*(f"n{n}@many.example" for n in range(40)), "linus@partner.example"])
    await site.ended(job)
    accepted = [{"email": f"n{n}@many.example"} for n in range(12)]
    site.sandbox.ask("users", {"action": "accept", "users": accepted})
    site.sandbox.ask("users", {"action": "delete", "email": "n39@many.example"})
    before = len(site.sandbox.ask("requests?operation=batch"))
    assert "accepted" not in shown(site, job)
    assert len(site.sandbox.ask("requests?operation=batch")) == before
    told = shown(site, job, "--accepted")["accepted"]
    assert told == {"guests": 40, "accepted": 12, "pending": 27, "unknown": 0, "gone": 1}
    batches = site.sandbox.ask("requests?operation=batch")[before:]
    assert [len(batch["items"]) for batch in batches] == [3]
    out = site.run("jobs", "show", job, "--accepted", COLUMNS="200").out
    assert "12 of 40 guests until now, 27 pending, 1 no longer in the tenant" in out


async def test_where_nobody_can_tell_a_sentence_says_why(site: Site) -> None:
    """It names the permission; all else of the job is shown."""
    site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    site.start_worker()
    job = await site.load(["n@many.example"])
    await site.ended(job)
    told = shown(site, job, "--accepted")
    assert (told["invited"], "User.Read.All" in told["accepted"]["unread"]) == (1, True)
    status, out, err = site.run("jobs", "show", job, "--accepted")
    assert (status, "invited" in out.lower(), "User.Read.All" in err) == (0, True, True)
