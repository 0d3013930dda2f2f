"""Fixtures of the whole suite."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import start_valkey, stop_valkey


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey that the run shares: whoever uses it keeps to a prefix of its own."""
    folder = Path(tempfile.mkdtemp(prefix="uv-", dir="/tmp"))
    process, url = start_valkey(folder)
    yield url
    stop_valkey(process)
    shutil.rmtree(folder)
