"""A script has in front of it what it uses of the shared files, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.ledger import scripts
from worker.ledger.scripts import names_of, source_of

FOLDER = Path(scripts.__file__).parent
NAMES = [file.stem for file in sorted(FOLDER.glob("[!_]*.lua"))]
SHARED = "".join(file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("_*.lua")))
DEFINED = {name for line in re.findall(r"^local .*", SHARED, re.MULTILINE) for name in names_of(line)}


def _given_in(text: str) -> list[str]:
    return [name for line in re.findall(r"^local .*", text, re.MULTILINE) for name in names_of(line)]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_script_uses_stands_above_it(name: str) -> None:
    """What it calls, what that calls in its turn, and each above its first use."""
    lines = [line.partition("--")[0] for line in source_of(name).splitlines()]
    known: set[str] = set()
    for line in lines:
        known.update(_given_in(line))
        called = DEFINED.intersection(re.findall(r"(?<![.:'\w])(\w+)\(", line))
        assert called <= known, line


def test_what_a_script_does_not_use_is_not_made_by_every_call_of_it() -> None:
    """A renewal knows the clock; the quota is for whoever takes from it, with all that it needs."""
    assert [name for name in _given_in(source_of("renew")) if name in DEFINED] == ["now_ms"]
    assert {"BUCKET", "bucket_read", "bucket_take"} < set(_given_in(source_of("take")))
    assert not {"settle_job", "index_read"} & set(_given_in(source_of("take")))
    assert {"settle_job", "give_up_claims", "keep_trail", "GENERATION_MS"} < set(_given_in(source_of("record_batch")))
