"""Shared by the tests of the private stack's parts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path short enough for a socket in it; pytest's own may be too long."""
    path = Path(tempfile.mkdtemp(prefix="ut-", dir="/tmp"))
    yield path
    shutil.rmtree(path)
