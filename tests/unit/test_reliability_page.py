"""docs/reliability.md names tests and modules that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
FILES = sorted(set(re.findall(r"`((?:worker|config|tasks|sandbox|tests)/[\w/]+\.(?:py|lua))`", PAGE)))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_a_test_it_names_is_there(file: str, name: str) -> None:
    """Whoever wants to see a promise kept can run it."""
    assert re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_a_module_it_names_is_there(file: str) -> None:
    """Whoever wants to read the mechanism finds it."""
    assert (ROOT / file).is_file()
