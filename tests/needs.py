"""Programs that some tests need and not every machine has: skipped on a laptop, failed in CI.

Every need stands in tests/NEEDS, from which `.ci/run` installs, so that nothing is skipped there.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Need:
    """One line of tests/NEEDS."""

    package: str
    program: str
    purpose: str


def read_needs() -> dict[str, Need]:
    """Return what tests may need, by Debian package."""
    text = Path(__file__).with_name("NEEDS").read_text(encoding="utf-8")
    lines = [line.split(maxsplit=2) for line in text.splitlines()]
    needs = [Need(*line) for line in lines if line and not line[0].startswith("#")]
    return {need.package: need for need in needs}


def need(package: str) -> str:
    """Return the path of a package's program; skip the test where it is missing, or fail it where
    `CI` is set.

    Raises KeyError for a package that tests/NEEDS does not list.
    """
    wanted = read_needs()[package]
    found = shutil.which(wanted.program)
    if found:
        return found
    sentence = f"{wanted.program} is missing (Debian: apt install {package}): {wanted.purpose}"
    if os.environ.get("CI"):
        pytest.fail(f"{sentence}. In CI nothing is skipped.", pytrace=False)
    pytest.skip(sentence)
