"""No list stops usher: whatever it holds, it is read or refused with a sentence, soon and in little
memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_S = 10.0
MOST_MB = 300.0
MOST_MB_OF_A_WORKBOOK = 150.0


def check(first: int, last: int) -> None:
    """Read these lists in another process, and compare what each cost with what it may."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs Linux, whose kernel tells a process how much memory it took")
    done = subprocess.run(
        [sys.executable, "-m", "tests.lists.hostile", str(first), str(last)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == last - first
    for told in found:
        assert told["seconds"] <= MOST_S, told
        assert told["megabytes"] <= (MOST_MB_OF_A_WORKBOOK if told["workbook"] else MOST_MB), told
        assert told["answer"].endswith((" rows", ".")) or len(told["answer"]) == 300, told


def test_hostile_lists_cost_little() -> None:
    """Two of each kind."""
    check(0, 40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_thousand_hostile_lists_cost_little() -> None:
    """The same for many more of each kind."""
    check(0, 2_000)
