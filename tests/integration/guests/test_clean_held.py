"""What a clean-up has planned may wait for a permission: guests are looked at again when it goes
on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.cleaned import ROLES, clean, configure, listed, open_cleaned
from tests.processes import wait_until
from tests.sandboxes import Sandbox
from tests.sites import Site, kill

OLD = "2020-01-01T00:00:00Z"
GUEST = "y@partner.example"


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place with a policy."""
    async with open_cleaned(valkey_url, sandbox) as site:
        yield site


def test_whom_a_person_enabled_while_the_deletion_waited_stays(site: Site) -> None:
    """The right to delete comes later; the guest is left alone, with a sentence."""
    site.sandbox.ask("users", {"action": "add", "email": GUEST, "created_at": OLD, "state_changed_at": OLD})
    site.sandbox.ask("policy", {"roles": [role for role in ROLES if role != "User.DeleteRestore.All"]})
    worker = site.start_worker()
    assert site.run("guests", "disable", GUEST, "-c", "contoso", "--yes").status == 0
    kill(worker)  # it would judge by the settings of before for some seconds
    configure(site, spare_addresses="", spare_groups="", delete_disabled_after='"1s"', disable_inactive_after="")
    site.start_worker()
    wait_until(lambda: clean(site)[1]["plan"]["would"]["delete"] == 1, 20, "the age to delete")
    _, told, err = clean(site, "--yes", "--wait", "2s")
    assert told["state"] == "held", err
    site.sandbox.ask("users", {"action": "enable", "email": GUEST})
    site.sandbox.ask("policy", {"roles": ROLES})
    assert site.run("connections", "reopen", "contoso").status == 0

    def is_done() -> bool:
        return bool(json.loads(site.run("jobs", "show", told["job"], "--json").out)["state"] == "done")

    wait_until(is_done, 30, "the stage goes on")
    (record,) = map(json.loads, site.run("jobs", "results", told["job"], "--format", "jsonl").out.splitlines())
    assert record["delete_status"] == "skipped"
    assert "somebody has enabled this guest" in record["delete_error"]
    assert GUEST in listed(site)
