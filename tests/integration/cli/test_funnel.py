"""How far guests have come, counted by the real command against the sandbox."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from tests.sites import Site
from worker.ledger.guests.last_seen import read_sighting

pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=("User.Read.All",))
"""An application that may read users, and nothing else."""


def counted(site: Site, *options: str) -> Any:
    """What the command says, as JSON."""
    status, out, err = site.run("guests", "funnel", "-c", "contoso", "--json", *options)
    assert status == 0, err
    return json.loads(out)


async def test_a_read_only_application_counts_all_guests(site: Site) -> None:
    """Two pages of 2,000 are two requests; members are left out; no value is unknown. The counts
    are kept for the metrics.
    """
    kinds = site.sandbox.ask("populate", {"count": 2_000})["kinds"]
    told = counted(site)
    guests = {kind: len(addresses) for kind, addresses in kinds.items() if not kind.startswith("member")}
    waiting = {"pending_spared", "role_pending", "internal_pending", "expired_pending"}
    pending = sum(n for kind, n in guests.items() if kind.startswith("pending_") or kind in waiting) + 1
    unknown = sum(n for kind, n in guests.items() if kind.startswith("unknown") or kind == "internal")
    total = told["total"]
    assert (total["guests"], total["pending"], total["unknown"]) == (sum(guests.values()) + 4, pending, unknown)
    assert total["accepted"] == total["guests"] - pending - unknown
    assert len(site.sandbox.ask("requests?operation=users")) == 2
    client: Any = site.desk.client
    seen = read_sighting(await client.hgetall(site.desk.keys.last_seen("contoso")))
    assert seen.guests is not None
    assert (seen.guests.guests, seen.guests.pending, seen.guests_at_s > 0) == (total["guests"], pending, True)


def test_they_are_divided_by_week_and_by_domain(site: Site) -> None:
    """As a table, as JSON, as a file; the lines add up to all."""
    site.sandbox.ask("populate", {"count": 100, "domains": 3})
    total = counted(site)["total"]["guests"]
    for by in ("week", "domain"):
        told = counted(site, "--by", by)
        assert sum(row["guests"] for row in told["rows"]) == total
    assert {row["domain"] for row in told["rows"]} >= {"partner000.example", "partner001.example", "partner.example"}
    path = site.folder / "funnel.csv"
    status, out, _ = site.run("guests", "funnel", "-c", "contoso", "--by", "domain", "-o", str(path))
    assert (status, out) == (0, "")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert {name: rows[0][name] for name in ("domain", "guests")} == {
        name: str(told["rows"][0][name]) for name in ("domain", "guests")
    }
    status, out, _ = site.run("guests", "funnel", "-c", "contoso", "--by", "week", COLUMNS="200")
    assert (status, "(no date)" in out, out.splitlines()[-1].split()[:2]) == (0, True, ["all", str(total)])


@pytest.mark.sandbox(roles=("User.Read.All", "User.Invite.All"))
async def test_the_job_that_invited_them_is_told(site: Site) -> None:
    """As long as usher remembers; who came another way stands in a line of their own."""
    site.start_worker()
    rows = [{"email": "a@one.example"}, {"email": "b@one.example"}]
    job = await site.load(rows)
    await site.ended(job)
    site.sandbox.ask("users", {"action": "accept", "email": "a@one.example"})
    told = {row["job"]: row for row in counted(site, "--by", "job")["rows"]}
    assert (told[job]["guests"], told[job]["accepted_percent"], told[""]["guests"]) == (2, 50.0, 4)


def test_a_picture_is_drawn_beside_the_table(site: Site) -> None:
    """Another kind of file is refused before anything is read."""
    path = site.folder / "funnel.svg"
    status, out, err = site.run("guests", "funnel", "-c", "contoso", "--by", "domain", "--plot", str(path))
    assert (status, "partner.example" in out, str(path) in err) == (0, True, True), err
    assert path.read_text().startswith("<?xml")
    before = len(site.sandbox.ask("requests"))
    status, _, err = site.run("guests", "funnel", "-c", "contoso", "--plot", "funnel.pdf")
    assert (status, ".svg or .png" in err, len(site.sandbox.ask("requests"))) == (2, True, before)


def test_users_that_may_not_be_read_are_one_sentence(site: Site) -> None:
    """It names the permission."""
    site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    status, out, err = site.run("guests", "funnel", "-c", "contoso")
    assert (status, out, err.count("\n"), "User.Read.All" in err) == (2, "", 1, True), err
