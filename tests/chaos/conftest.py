"""Fixtures of the chaos tests: the sandbox whose own ledger is believed, and servers that a test may break."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sandboxes import Sandbox, run_sandbox
from tests.sites import OwnValkey, Site, open_site


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox for all of them, without quota and with a little replication lag; each site resets it."""
    folder = Path(tempfile.mkdtemp(prefix="uc-", dir="/tmp"))
    with run_sandbox(folder, "--quota", "off", "--replication", "0-0.3") as sandbox:
        yield sandbox
    shutil.rmtree(folder)


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A site on the Redis that the run shares, which no test may break."""
    async with open_site(valkey_url, sandbox) as site:
        yield site


@pytest.fixture
async def own_site(own_valkey: OwnValkey, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A site on `own_valkey`."""
    async with open_site(own_valkey.url, sandbox) as site:
        yield site
