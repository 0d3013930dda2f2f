"""A clean-up that is killed goes on, does each thing once, and can be undone; a large one too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.cleaned import REMINDED, clean, configure, due, lines_of, listed, of, open_cleaned, populate, undo
from tests.processes import wait_until
from tests.sandboxes import Sandbox
from tests.sites import Site, kill


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place with a policy."""
    async with open_cleaned(valkey_url, sandbox) as site:
        yield site


def test_a_clean_up_is_undone(site: Site) -> None:
    """Whoever was deleted is restored, whoever was disabled enabled; a mail stays mailed."""
    kinds = populate(site, 200)
    by_hand = of(kinds, "disabled", "pending_disabled")
    worker = site.start_worker()
    _, disabling, err = clean(site, "--yes")
    assert listed(site, "--disabled") == due(kinds) | by_hand, err
    kill(worker)  # it would judge by the settings of before for some seconds
    configure(site, remind_after="", delete_disabled_after='"1s"')
    site.start_worker()
    wait_until(lambda: clean(site)[1]["plan"]["would"]["delete"] == len(due(kinds)), 20, "the age to delete")
    _, deleting, err = clean(site, "--yes")
    assert listed(site, "--disabled") == by_hand, err
    undone = undo(site, deleting["job"])
    assert (undone["status"], undone["stages"]["restore"]["done"]) == (0, len(due(kinds)))
    assert listed(site, "--disabled") == due(kinds) | by_hand
    undone = undo(site, disabling["job"])
    assert (undone["status"], undone["failed"]) == (1, len(of(kinds, *REMINDED)))
    assert undone["stages"]["enable"]["done"] == len(due(kinds))
    assert listed(site, "--disabled") == by_hand


def test_a_killed_run_does_each_thing_once(site: Site) -> None:
    """Another worker goes on, and the same command again finds nothing left to do. A reminder whose
    answer was lost with the worker is in doubt, and is not repeated.
    """
    kinds = populate(site, 600)
    site.sandbox.ask("latency", {"latency": "0.05", "replication": "0"})
    worker = site.start_worker()
    status, told, err = clean(site, "--yes", "--detach")
    assert status == 3, err
    wait_until(lambda: bool(site.sandbox.ask("stats")["items"].get("update_user")), 20, "the first write")
    kill(worker)
    site.start_worker()
    status, out, err = site.run("jobs", "watch", told["job"], "--json")
    ended = json.loads(out.splitlines()[-1])
    reminded, stages = len(of(kinds, *REMINDED)), ended["stages"]
    assert (ended["done"], ended["failed"]) == (ended["rows"], 0), err
    assert stages["disable"]["done"] == len(due(kinds))
    assert stages["remind"]["done"] + stages["remind"]["in_doubt"] == reminded
    assert status == (1 if stages["remind"]["in_doubt"] else 0)
    status, told, err = clean(site, "--yes")
    assert (status, told["rows"]) == (0, 0), err
    stats = site.sandbox.ask("stats")
    assert stats["items"]["update_user"]["204"] == len(due(kinds))
    assert stages["remind"]["done"] <= stats["mails"]["total"] <= reminded
    assert stats["mails"]["more_than_once"] == 0


@pytest.mark.long
async def test_a_nasty_tenant_of_50000_is_cleaned_up_exactly(site: Site) -> None:
    """Three times over the same set is found; killed in the middle and run again each thing is done
    once, and nobody else is touched; all that can be undone is.
    """
    kinds = populate(site, 50_000)
    wanted = {
        *(("remind", email) for email in of(kinds, *REMINDED)),
        *(("disable", email) for email in due(kinds)),
    }
    for _ in range(3):
        status, out, err = site.run("guests", "clean", "-c", "contoso")
        assert (status, lines_of(out) == wanted) == (0, True), err
    worker = site.start_worker()
    status, told, err = clean(site, "--yes", "--detach")
    assert status == 3, err
    wait_until(lambda: site.sandbox.ask("stats")["items"].get("update_user", {}).get("204", 0) > 2000, 300, "writes")
    kill(worker)
    site.start_worker()
    view = await site.ended(told["job"], 600)
    assert (view.counts.done, view.counts.failed) == (len(wanted), 0)
    status, again, err = clean(site, "--yes")
    assert (status, again["rows"]) == (0, 0), err
    by_hand = of(kinds, "disabled", "pending_disabled")
    assert listed(site, "--disabled") == due(kinds) | by_hand
    stats = site.sandbox.ask("stats")
    assert stats["items"]["update_user"]["204"] == len(due(kinds))
    reminded, stage = len(of(kinds, *REMINDED)), view.stages["remind"]
    assert stage.done + stage.in_doubt == reminded
    assert stage.done <= stats["mails"]["total"] <= reminded
    assert stats["mails"]["more_than_once"] == 0
    status, out, err = site.run("guests", "undo", told["job"], "--yes", "--json", "--detach")
    assert status == 3, err
    view = await site.ended(json.loads(out)["job"], 600)
    assert (view.stages["enable"].done, view.counts.failed) == (len(due(kinds)), reminded)
    assert listed(site, "--disabled") == by_hand
