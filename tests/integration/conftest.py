"""Fixtures of the integration tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ledgers import Desk, open_desk

if TYPE_CHECKING:
    from tests.consoles import Console
    from tests.sites import Site


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


@pytest.fixture
def console(site: Site) -> Iterator[Console]:
    """A real `usher serve` on the site of the test."""
    from tests.consoles import run_console

    with run_console(site) as console:
        yield console
