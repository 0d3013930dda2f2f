"""What the doctor says of what it finds: each wrong thing once, with what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.reader import parse_schedule
from config.settings import Settings
from config.version import read_version
from tasks.checks.installation import clock_fact, program_facts, server_facts
from worker.ledger.programs.running_programs import Program
from worker.store.client import Server

SERVER = Server("valkey", "9.1.2", "noeviction", True, 10 << 20, 100 << 20)
SETTINGS = Settings()
WORKER = Program("worker", "w1@a", read_version(), SETTINGS.digest[:12], "a", 7, "/etc/usher/usher.toml")


@pytest.mark.parametrize(
    ("server", "wrong"),
    [
        (SERVER, ""),
        (replace(SERVER, most=0), ""),
        (replace(SERVER, persistent=False), "set appendonly yes"),
        (replace(SERVER, used=85 << 20), "at 90% no new job is taken in"),
        (replace(SERVER, used=92 << 20), "no new job is taken in"),
        (replace(SERVER, used=96 << 20), "nothing is sent"),
    ],
)
def test_a_server_is_told_of(server: Server, wrong: str) -> None:
    """Persistence, and how full it is, at the shares at which usher itself acts."""
    said = [fact.what for fact in server_facts(server) if not fact.ok]
    assert len(said) == bool(wrong)
    assert wrong in "".join(said)
    assert "Valkey 9.1.2" in server_facts(server)[0].what


def test_who_differs_is_named() -> None:
    """By version, by configuration, by both; whoever agrees is well."""
    others = [replace(WORKER, name="w2@b", version="0.0.9"), replace(WORKER, name="w3@c", digest="beef")]
    facts = program_facts([WORKER, *others], SETTINGS, private=False, has_beat=False)
    assert [fact.ok for fact in facts] == [True, False, False, True]
    assert "w2@b (process 7 on a) runs usher 0.0.9" in facts[1].what
    assert "has another configuration (beef, from /etc/usher/usher.toml)" in facts[2].what


def test_nobody_there_is_a_fault_where_somebody_should_be() -> None:
    """No worker behind a Redis of the operator's; no beat where there are schedules."""
    schedules = {"x": parse_schedule("x", {"task": "check_connections", "every": "1h"}, [])}
    facts = program_facts([], replace(SETTINGS, schedules=schedules), private=False, has_beat=False)
    assert [(fact.about, fact.ok) for fact in facts] == [("workers", False), ("beats", False)]
    assert all(fact.ok for fact in program_facts([], SETTINGS, private=True, has_beat=False))


def test_a_clock_that_is_off_is_told() -> None:
    """Either way."""
    assert clock_fact("Graph's", 1.2).ok
    assert "7 s ahead of Graph's: set it by NTP." in clock_fact("Graph's", 7).what
    assert "90 s behind Graph's: set it by NTP, or signing in" in clock_fact("Graph's", -90).what
