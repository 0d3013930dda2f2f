"""Schedules clean up, or say what they would do; a run waits for approval as a job does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cleaned import POLICY, REMINDED, configure, due, listed, of, open_cleaned, populate
from tests.sandboxes import Sandbox
from tests.sites import Site


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place with a policy."""
    async with open_cleaned(valkey_url, sandbox) as site:
        yield site


def schedule(site: Site, task: str, **args: str) -> None:
    """Add a schedule that never fires by itself."""
    lines = "".join(f"{key} = {value}\n" for key, value in args.items())
    with (site.folder / "usher.toml").open("a") as file:
        file.write(f'[schedules.nightly]\ntask = "{task}"\nconnection = "contoso"\nevery = "9d"\n')
        file.write(f"[schedules.nightly.args]\n{lines}")


def fire(site: Site) -> dict[str, Any]:
    """Let the schedule run once, and its jobs end; returns what is told of the run."""
    status, out, err = site.run("schedules", "run", "nightly", "--json")
    assert status in (0, 1), err
    told: dict[str, Any] = json.loads(out)
    for job in told["jobs"]:
        site.run("jobs", "watch", job)
    return told


def test_a_schedule_does_nothing_unless_it_confirms(site: Site) -> None:
    """It tells what it would do, and needs somebody where a ceiling is met; no address is in it."""
    kinds = populate(site, 200)
    configure(site, most_disabled="3")
    schedule(site, "clean_guests")
    site.start_worker()
    told = fire(site)
    assert (told["status"], told["jobs"]) == ("attention", [])
    assert f"{len(due(kinds))} to disable" in told["what"]
    assert "confirm = true" in told["what"]
    assert "most_disabled" in told["what"]
    assert "@" not in told["what"]
    assert site.sandbox.ask("stats")["mails"]["total"] == 0


def test_a_schedule_that_confirms_does_what_is_due(site: Site) -> None:
    """Once; the next run finds nothing."""
    kinds = populate(site, 200)
    schedule(site, "clean_guests", confirm="true")
    site.start_worker()
    told = fire(site)
    assert (told["status"], len(told["jobs"])) == ("ok", 1), told
    assert listed(site, "--disabled") == due(kinds) | of(kinds, "disabled", "pending_disabled")
    told = fire(site)
    assert (told["status"], told["jobs"]) == ("ok", []), told
    assert site.sandbox.ask("stats")["mails"]["total"] == len(of(kinds, *REMINDED))


def test_a_run_of_a_schedule_waits_for_approval(site: Site) -> None:
    """As a job does; nothing is done until then."""
    populate(site, 200)
    configure(site, "require_approval = true")
    schedule(site, "clean_guests", confirm="true")
    site.start_worker()
    _, out, err = site.run("schedules", "run", "nightly", "--json")
    told = json.loads(out)
    assert (told["status"], len(told["jobs"])) == ("attention", 1), err
    waits = f"usher jobs approve {told['jobs'][0]}"
    assert waits in told["what"]
    _, out, err = site.run("schedules", "run", "nightly", "--json")
    again = json.loads(out)
    assert (again["status"], again["jobs"], waits in again["what"]) == ("attention", [], True), err
    assert site.sandbox.ask("stats")["items"].get("update_user", {}) == {}


def test_pending_guests_are_reminded_by_a_schedule(site: Site) -> None:
    """Nobody else is touched; without a policy three days count."""
    kinds = populate(site, 200)
    configure(site, **dict.fromkeys(POLICY, ""))
    schedule(site, "remind_pending", confirm="true")
    site.start_worker()
    told = fire(site)
    assert (told["status"], len(told["jobs"])) == ("ok", 1), told
    pending = of(kinds, "pending_due", "pending_old", "pending_spared", "pending_again", "expired_pending")
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (len(pending), 0)
    assert site.sandbox.ask("stats")["items"].get("update_user", {}) == {}
    assert fire(site)["jobs"] == []


def test_whoever_is_to_be_disabled_is_not_reminded_by_a_schedule(site: Site) -> None:
    """By the same policy."""
    kinds = populate(site, 200)
    schedule(site, "remind_pending", confirm="true")
    site.start_worker()
    assert fire(site)["status"] == "ok"
    mails = site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (len(of(kinds, *REMINDED)), 0)
