"""What is given to Flower: what it cannot read is a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

READ = (
    "import sys; from worker.process.flower_options import NotStarted, end, read\ntry: read(sys.argv[1:])\nexcept"
    " NotStarted as e: raise end(e)"
)
"""In a process of its own: tornado's options are one object for all."""


def _read(*arguments: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", READ, *arguments],
        env={"PATH": "", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--port=abc", "abc"),
        ("--basic-auht=a:b", 'no option "--basic-auht" (did you mean basic_auth?)'),
        ("foo", 'no option "foo"'),
        ("--logging=nope", "NOPE"),
        ("--conf=/nope/flower.py", "No such file"),
        ("--conf={broken}", "line 1"),
    ],
)
def test_what_flower_cannot_read_is_a_sentence(argument: str, said: str, tmp_path: Path) -> None:
    """Its own words in one of ours, without a traceback."""
    broken = tmp_path / "flower.py"
    broken.write_text("port = (\n")
    status, told = _read(argument.format(broken=broken))
    assert (status, said in told, told.count("\n"), "Traceback" in told) == (2, True, 1, False), told


def test_variables_are_read_too() -> None:
    """Those that Flower knows."""
    assert _read(FLOWER_PORT="abc")[0] == 2
    assert _read("--port=5556", FLOWER_READ_ONLY="off", FLOWER_OF_MINE="x") == (0, "")
