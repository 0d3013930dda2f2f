"""What a program says of itself is read by older and by newer ones during an upgrade."""

from __future__ import annotations

import orjson

from config.settings import Settings
from worker.ledger.programs.running_programs import describe_self, dump, parse_program


def test_what_only_a_newer_program_says_is_left_out() -> None:
    """So that the doctor works in the middle of an upgrade."""
    program = describe_self("worker", "w1@a", Settings(), "Faulty.")
    raw = orjson.dumps({**orjson.loads(dump(program, 7)), "mood": "good"})
    assert (parse_program(raw).name, parse_program(raw).problem, parse_program(raw).seen_ms) == ("w1@a", "Faulty.", 7)


def test_an_older_program_can_read_one_that_is_well() -> None:
    """It knows of no problem."""
    assert "problem" not in orjson.loads(dump(describe_self("beat", "b", Settings()), 7))
