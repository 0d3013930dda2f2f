"""Somebody else takes half of the quota unannounced: what Graph shows of it keeps us from running into it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.producers_fixtures import run_sandbox
from tests.sites import QUOTA, Site, open_site
from worker.model import Counts

LIMIT = "600/6s"
ROWS = 1000


@pytest.fixture
async def site(valkey_url: str) -> AsyncIterator[Site]:
    """A worker's place, in a tenant in which another application takes half of our writes."""
    folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
    limits = "writes_per_app_and_tenant=" + LIMIT + ",invitations_per_tenant=off,units_per_app_and_tenant=off"
    background = "writes_per_app_and_tenant=0.5"
    with run_sandbox(folder, "--quota", limits, "--background", background, "--retry-after", "absent") as sandbox:
        async with open_site(valkey_url, sandbox, settle_s=30, timeout_s=10) as site:
            config = site.folder / "usher.toml"
            told = config.read_text().replace(QUOTA, f'{QUOTA}writes_per_app_and_tenant = "{LIMIT}"\n')
            config.write_text(told)
            yield site
    shutil.rmtree(folder)


async def test_an_unknown_other_is_noticed_before_graph_refuses(site: Site) -> None:
    """Believing in twice what is left, hardly one of a thousand operations is refused (nine, when nobody reads the header)."""
    site.start_worker(8)
    job = await site.desk.load(ROWS)
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=ROWS, invited=ROWS)
    site.assert_all_mailed_once(ROWS)
    refused = sum(site.sandbox.ask("stats")["throttled"].values())
    assert refused < 5, refused
