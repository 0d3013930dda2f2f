"""Somebody else takes half of the quota unannounced: what Graph shows of it, or else its 429s, keep us from running into it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.sandboxes import run_sandbox
from tests.sites import QUOTA, Site, open_site
from worker.model import Counts

LIMIT = "600/6s"
ROWS = 1000


SMALL = "60/0.5s"
"""The invitations of a tenant: a batch is a third of it, so that what is shown of it says little."""


@asynccontextmanager
async def _crowded(url: str, limit: str, amount: str, *options: str) -> AsyncIterator[Site]:
    """A worker's place, in a tenant in which another application takes half of one limit."""
    folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
    others = {"writes_per_app_and_tenant", "invitations_per_tenant", "units_per_app_and_tenant"} - {limit}
    limits = ",".join([f"{limit}={amount}", *(f"{name}=off" for name in sorted(others))])
    given = ("--quota", limits, "--background", f"{limit}=0.5", "--retry-after", "absent", *options)
    with run_sandbox(folder, *given) as sandbox:
        async with open_site(url, sandbox, settle_s=30, timeout_s=10) as site:
            config = site.folder / "usher.toml"
            told = {"invitations_per_tenant": "100000/1s", "writes_per_app_and_tenant": "100000/1s", limit: amount}
            lines = "".join(f'{name} = "{value}"\n' for name, value in told.items())
            config.write_text(config.read_text().replace(QUOTA, f"[quota]\n{lines}"))
            yield site
    shutil.rmtree(folder)


@pytest.fixture
async def site(valkey_url: str) -> AsyncIterator[Site]:
    """A place with a large limit, half of it taken."""
    async with _crowded(valkey_url, "writes_per_app_and_tenant", LIMIT) as site:
        yield site


async def test_an_unknown_other_is_noticed_before_graph_refuses(site: Site) -> None:
    """Believing in twice what is left, hardly one of a thousand operations is refused (nine, when nobody reads the header)."""
    site.start_worker(8)
    job = await site.desk.load(ROWS)
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=ROWS, invited=ROWS)
    site.assert_all_mailed_once(ROWS)
    refused = sum(site.sandbox.ask("stats")["throttled"].values())
    assert refused < 5, refused


async def test_what_comes_in_is_learned_from_429s_alone(valkey_url: str) -> None:
    """A small limit, no header at all, refused requests counting too: a few 429s tell the rate. Nobody is given up."""
    options = ("--throttle-headers", "off", "--accrue-while-throttled")
    async with _crowded(valkey_url, "invitations_per_tenant", SMALL, *options) as site:
        site.start_worker(8)
        job = await site.desk.load(400)
        await site.all_invited_once(job, 400, 60)
        refused = sum(site.sandbox.ask("stats")["throttled"].values())
        assert refused < 40, refused
