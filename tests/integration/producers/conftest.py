"""Fixtures of the producers' tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.producers.rivals import Rivals, run_rivals
from tests.integration.producers.wire import tables
from tests.ushers import Usher, run_usher


@pytest.fixture(scope="session")
def usher() -> Iterator[Usher]:
    """One worker for all of them, which sends events and logs at DEBUG."""
    folder = Path(tempfile.mkdtemp(prefix="wire", dir="/tmp"))
    try:
        options = ("--quota", "off", "--replication", "0")
        with run_usher(folder, "-E", "-l", "DEBUG", sandbox_options=options, tables=tables) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def two() -> Iterator[Rivals]:
    """One usher with two producers for all who let them try."""
    folder = Path(tempfile.mkdtemp(prefix="two", dir="/tmp"))
    try:
        with run_rivals(folder) as rivals:
            yield rivals
    finally:
        shutil.rmtree(folder, ignore_errors=True)
