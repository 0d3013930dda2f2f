"""docs/entra-setup.md says about each sign-in error what usher says, and names only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.clouds import CLOUDS
from worker.signin.aadsts import explain_signin

ROOT = Path(__file__).resolve().parents[2]
SETUP = (ROOT / "docs/entra-setup.md").read_text(encoding="utf-8")
CODES = sorted({int(code) for code in re.findall(r"AADSTS(\d+)", SETUP)})
MUST_BE_EXPLAINED = {
    *(7000215, 7000222, 700016, 90002, 90038, 900382, 900432, 7000112, 70001, 700027, 700030, 7000218, 50194, 9001023),
    *(53003, 530032, 70011, 650057, 650056, 50196, 90055, 90006, 90024, 90033, 90090, 90012),
}
"""What a client credentials grant can meet.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""


def test_every_code_that_can_be_met_is_in_the_table() -> None:
    """An administrator finds each code."""
    assert set(CODES) >= MUST_BE_EXPLAINED


@pytest.mark.parametrize("code", CODES)
def test_page_and_program_agree_on_who_has_to_act(code: int) -> None:
    """A code that passes by itself says so in both places; every code has a sentence of its own."""
    trouble = explain_signin(400, {"error": "invalid_client", "error_codes": [code]})
    line = next(line for line in SETUP.splitlines() if re.search(rf"AADSTS{code}\b", line) and line.startswith("|"))
    assert (trouble.kind == "transient") == ("Nobody:" in line)
    assert "Entra refused the sign-in with" not in trouble.sentence


def test_clouds_are_those_of_the_configuration() -> None:
    """Each cloud's row carries the hosts that usher really talks to."""
    rows = [line.split("|") for line in SETUP.splitlines() if line.startswith("|") and " login." in line]
    hosts = {row[2].strip(" `"): (row[4].strip(), row[5].strip()) for row in rows}
    assert hosts == {cloud.name: (cloud.login_host, cloud.graph_host) for cloud in CLOUDS.values()}
