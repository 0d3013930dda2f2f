"""How schedules stand on the timetable: what a change means for the next run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from config.reader import parse_schedule
from config.schedules import Schedule
from worker.ledger.timetable import AHEAD_MS, Planned, _entry_fields, firing_fault, plan, read_entry, switch
from worker.process.beat import BeatEntry

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(days=3)


def _schedule(**table: object) -> Schedule:
    return parse_schedule("x", {"task": "check_connections", "every": "1h", **table}, [])


def test_a_new_one_and_a_changed_one_count_from_now() -> None:
    """Nothing that it would have done before is made up for; a change that leaves the time alone
    leaves the next run alone.
    """
    old = Planned(_schedule(), "file", "UTC", BEFORE)
    assert plan(_schedule(), None, "file", "UTC", NOW).next_at == NOW + timedelta(hours=1)
    assert plan(_schedule(every="2h"), old, "file", "UTC", NOW).next_at == NOW + timedelta(hours=2)
    assert plan(_schedule(), old, "file", "Europe/Berlin", NOW).last_run_at == NOW
    assert plan(_schedule(args={"within": "5d"}), old, "file", "UTC", NOW).next_at == BEFORE + timedelta(hours=1)
    assert plan(_schedule(enabled=False), old, "file", "UTC", NOW).next_at is None


def test_switched_on_again_it_counts_from_now() -> None:
    """A week off is not a run that is due."""
    off = switch(Planned(_schedule(), "file", "UTC", BEFORE), off=True, now=NOW)
    assert off.next_at is None
    assert plan(_schedule(), off, "file", "UTC", NOW).off
    assert switch(off, off=False, now=NOW).next_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("table", [{}, {"every": "90s"}, {"args": {"within": "14d"}}, {"enabled": False}])
def test_an_entry_is_read_back_as_it_was(table: dict[str, object]) -> None:
    """As celery-redbeat keeps it: definition and meta in its own JSON."""
    planned = Planned(_schedule(**table), "added", "Europe/Berlin", NOW, off=True, fired=3)
    fields = {key.encode(): value.encode() for key, value in _entry_fields(planned).items()}
    assert read_entry(fields) == planned


def test_of_several_connections_the_first_of_a_round_is_the_next_run() -> None:
    """As the beat has told the timetable; before it has, no earlier than any turn may be. A spread
    that is changed counts from now.
    """
    schedule = _schedule(connection="all", spread="30m")
    planned = plan(schedule, None, "added", "UTC", NOW)
    assert planned.next_at == NOW + timedelta(hours=1)
    fields = {key.encode(): value.encode() for key, value in _entry_fields(planned).items()}
    told = read_entry(fields, (NOW + timedelta(minutes=77)).timestamp())
    assert told is not None
    assert (told, told.next_at) == (planned, NOW + timedelta(minutes=77))
    old = Planned(schedule, "added", "UTC", BEFORE, since=BEFORE)
    assert plan(_schedule(connection="all", spread="20m"), old, "added", "UTC", NOW).last_run_at == NOW
    assert plan(_schedule(connection="tag:eu", spread="30m"), old, "added", "UTC", NOW).last_run_at == BEFORE


def test_a_cron_is_there_for_other_tools_too() -> None:
    """Names and Sunday as 7 become what Celery knows."""
    schedule = parse_schedule("x", {"task": "check_connections", "cron": "0 2 * * fri-7"}, [])
    kept = json.loads(_entry_fields(Planned(schedule, "file", "UTC", NOW))["definition"])["schedule"]
    assert (kept["minute"], kept["hour"], kept["day_of_week"]) == ("0", "2", "0,5,6")


def test_an_interval_keeps_its_pace_and_makes_up_for_nothing() -> None:
    """The last run becomes the last due time, not the moment in which a late beat fired."""
    entry = BeatEntry.__new__(BeatEntry)
    entry.name, entry.kwargs = "x", {"table": _schedule(every="1h").table}
    now = datetime.now(UTC)
    assert entry.ticked_off(now - timedelta(minutes=5)) == now - timedelta(minutes=5)
    assert entry.ticked_off(now - timedelta(minutes=125)) == now - timedelta(minutes=5)


NOW_MS = round(NOW.timestamp() * 1000)


@pytest.mark.parametrize("due_ms", [NOW_MS, NOW_MS - 1, NOW_MS + AHEAD_MS, NOW_MS - 366 * 86_400_000])
def test_a_firing_is_of_a_time_that_has_come(due_ms: int) -> None:
    """Also of one that nobody was there for, and by a beat whose clock is a little ahead."""
    assert firing_fault("nightly", due_ms, "beat", NOW_MS) == ""


@pytest.mark.parametrize(
    "fields",
    [
        ("nightly", "x", "beat"),
        ("nightly", True, "beat"),
        ("nightly", 1.5, "beat"),
        ("nightly", None, "beat"),
        (5, NOW_MS, "beat"),
        ("nightly", NOW_MS, None),
        ("a:b", NOW_MS, "beat"),
        ("nightly", NOW_MS + AHEAD_MS + 1, "beat"),
        ("nightly", -1, "beat"),
    ],
)
def test_what_the_timetable_could_not_have_made_is_no_firing(fields: tuple[object, object, object]) -> None:
    """Stored, one such would hide every other run; a run before its time would take the place of
    the one then due.
    """
    assert firing_fault(*fields, NOW_MS)
