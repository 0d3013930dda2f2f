"""Fixtures of the integration tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.ledgers import Desk, open_desk
from tests.sandboxes import Sandbox, run_sandbox
from tests.sites import Site, open_site


@pytest.fixture
async def desk(valkey_url: str) -> AsyncIterator[Desk]:
    """An empty ledger."""
    async with open_desk(valkey_url) as desk:
        yield desk


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for the module, with a path that is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="ui-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox for the module, without quota and with a little replication lag; each site resets it. Some modules have their own."""
    with run_sandbox(folder, "--quota", "off", "--replication", "0-0.3") as sandbox:
        yield sandbox


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place to work in; what was started in it is ended."""
    async with open_site(valkey_url, sandbox) as site:
        yield site
