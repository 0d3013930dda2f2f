"""Whose turn is when in a schedule over several connections."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.cron import find_zone
from config.reader import parse_schedule
from worker.ledger.rounds import Rounds, Turn, offset_s

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MANY = [f"tenant-{number}" for number in range(150)]


def rounds(connections: list[str], zone: str = "UTC", **table: Any) -> Rounds:
    """The rounds of a schedule that began at noon."""
    given = {"task": "check_connections", "connection": "all", **table}
    return Rounds.over(parse_schedule("nightly", given, []), find_zone(zone), NOON, connections)


def every(amount: str, connections: list[str], **more: Any) -> Rounds:
    """Those of one with an interval."""
    return rounds(connections, every=amount, **more)


def test_a_connections_offset_is_the_same_everywhere_and_for_ever() -> None:
    """No salt of a process goes into it, and these numbers may never change: tenants would be
    visited at another minute.
    """
    code = "from worker.ledger.rounds import offset_s; print(offset_s('nightly', 'contoso', 7200))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == offset_s("nightly", "contoso", 7200) == 1198
    assert offset_s("weekly", "contoso", 7200) == 4024


def test_the_runs_of_many_tenants_are_spread_evenly() -> None:
    """A hundred and fifty over two hours: about 19 in each quarter of an hour, all within them."""
    offsets = [offset_s("nightly", name, 7200) for name in MANY]
    quarters = Counter(offset // 900 for offset in offsets)
    assert set(quarters) == set(range(8))
    assert max(quarters.values()) < 35
    assert {offset_s("x", name, 1.5) for name in MANY} <= {0, 1}


def test_each_connection_has_its_turn_once_a_round_whatever_the_steps() -> None:
    """However often a beat looks: the same turns, each once, at the same minute every night."""
    nightly = rounds(MANY, cron="0 2 * * *", spread="2h")
    three_days = nightly.due(NOON, NOON + timedelta(days=1))
    found: list[Turn] = []
    at = NOON
    while at < NOON + timedelta(days=1):
        found += nightly.due(at, at + timedelta(minutes=7))
        at += timedelta(minutes=7)
    assert found == three_days
    assert Counter(turn.connection for turn in found) == dict.fromkeys(MANY, 1)
    two = NOON.replace(day=26, hour=2)
    assert {turn.connection: (turn.at - two).total_seconds() for turn in found} == {
        name: offset_s("nightly", name, 7200) for name in MANY
    }


def test_the_next_turn_is_the_next_one_that_is_due() -> None:
    """Asked at any time, in the middle of a round, at a turn and between two rounds."""
    nightly = rounds(MANY, cron="0 2 * * *", spread="2h")
    at = NOON
    for _ in range(200):
        following = nightly.next_after(at)
        assert following is not None
        assert nightly.due(at, following - timedelta(microseconds=1)) == []
        assert [turn.at for turn in nightly.due(at, following)][:1] == [following]
        assert nightly.earliest(at) <= following
        at = following
    assert rounds([], cron="0 2 * * *").next_after(NOON) is None
    assert rounds([], cron="0 2 * * *").due(NOON, NOON + timedelta(days=9)) == []


def test_a_missed_run_is_made_up_for_once() -> None:
    """A beat that was away for days: each connection once, of the first time that it missed."""
    nightly = rounds(MANY, cron="0 2 * * *", spread="2h")
    within = NOON.replace(day=26, hour=3)  # some have had their turn of that night
    turns = nightly.due(within, within + timedelta(days=30))
    assert Counter(turn.connection for turn in turns) == dict.fromkeys(MANY, 1)
    late = {turn.connection for turn in turns if turn.at < within + timedelta(hours=1)}
    assert late == {name for name in MANY if offset_s("nightly", name, 7200) > 3600}


def test_without_spread_all_are_due_at_once() -> None:
    """And an interval counts from when the schedule began, keeping its pace."""
    turns = every("6h", ["a", "b"]).due(NOON, NOON + timedelta(hours=6))
    assert turns == [Turn(NOON + timedelta(hours=6), "a"), Turn(NOON + timedelta(hours=6), "b")]
    assert every("6h", ["a"]).next_after(NOON + timedelta(hours=7)) == NOON + timedelta(hours=12)
    assert every("6h", ["a"]).next_after(NOON) == NOON + timedelta(hours=6)


def test_an_interval_is_spread_too() -> None:
    """Each connection at the same time within each interval."""
    spread = every("1h", MANY, spread="30m")
    first = spread.due(NOON, NOON + timedelta(minutes=95))
    second = spread.due(NOON + timedelta(minutes=100), NOON + timedelta(minutes=155))
    assert [(turn.at - timedelta(hours=1), turn.connection) for turn in second] == [
        (turn.at, turn.connection) for turn in first
    ]
    assert len(first) == len(MANY)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 23), ((2026, 10, 24), 25)])
def test_the_clocks_are_put_forward_and_back_under_a_round(day: tuple[int, int, int], hours: int) -> None:
    """Each connection has its turn once a night, on the night itself too."""
    nightly = rounds(MANY, zone="Europe/Berlin", cron="30 1 * * *", spread="2h")
    noon = datetime(*day, 11, tzinfo=UTC)
    assert Counter(turn.connection for turn in nightly.due(noon, noon + timedelta(hours=hours))) == dict.fromkeys(
        MANY, 1
    )
