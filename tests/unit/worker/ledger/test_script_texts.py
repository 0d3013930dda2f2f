"""The texts of the scripts, as somebody reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[4] / "worker" / "ledger" / "scripts").glob("*.lua"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_a_script_is_told_has_names(script: Path) -> None:
    """An argument is read once, into a name; no line is longer than 120 columns."""
    text = script.read_text()
    assert [line for line in text.splitlines() if len(line) > 120] == []
    code = re.sub(r"--.*", "", text)
    statements = re.sub(r"([=,])\s*\n\s*", r"\1 ", code).splitlines()
    assert [line for line in statements if "ARGV[" in line and not re.match(r"\s*local [\w, ]+ = ", line)] == []
