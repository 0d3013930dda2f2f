"""The size of the rooms: what a reader can take in at one sitting."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for top in ("benchmarks", "cli", "config", "console", "sandbox", "tasks", "tests", "worker")
    for path in (ROOT / top).rglob("*.py")
    if "peers" not in path.parts  # programs of others that benchmarks compare with
]


def test_no_module_is_longer_than_400_lines() -> None:
    """What is longer holds two ideas."""
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in MODULES}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_no_folder_has_more_than_25_modules() -> None:
    """Whoever opens it sees all of it."""
    count = Counter(str(path.parent.relative_to(ROOT)) for path in MODULES)
    assert {name: modules for name, modules in count.items() if modules > 25} == {}
