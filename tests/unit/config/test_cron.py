"""The five fields, and when they come."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from config.cron import next_after, parse_cron, plain_fields

BERLIN = ZoneInfo("Europe/Berlin")


def _times(text: str, start: str, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    at, found = datetime.fromisoformat(start).replace(tzinfo=UTC), []
    for _ in range(count):
        at = next_after(parse_cron(text), at, zone)
        found.append(f"{at.astimezone(zone):%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0 2 * * *", ["11-26 02:00", "11-27 02:00"]),
        ("*/20 9-10 * * *", ["11-25 09:00", "11-25 09:20", "11-25 09:40", "11-25 10:00"]),
        ("0 0 1 jan,FEB *", ["01-01 00:00", "02-01 00:00"]),
        ("30 8 * * mon-fri/2", ["11-25 08:30", "11-27 08:30", "11-30 08:30"]),
        ("0 0 * * 7", ["11-29 00:00", "12-06 00:00"]),
        ("0 0 13 * fri", ["11-27 00:00", "12-04 00:00", "12-11 00:00", "12-13 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00"]),
    ],
)
def test_the_times_are_those_of_cron(text: str, times: list[str]) -> None:
    """Lists, ranges, steps, names; both day fields mean either."""
    assert _times(text, "2026-11-25T03:00", len(times)) == times


def test_the_clocks_change() -> None:
    """A skipped time runs once the clocks are put forward, a repeated one once; what runs every
    hour runs every hour.
    """
    assert _times("30 2 * * *", "2027-03-27T12:00", 2) == ["03-28 03:00", "03-29 02:30"]
    assert _times("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 02:30", "10-26 02:30"]
    assert _times("0 * * * *", "2026-10-24T23:30", 3) == ["10-25 02:00", "10-25 02:00", "10-25 03:00"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0 2 * *", "five fields"),
        (5, "five fields"),
        ("60 * * * *", "never comes: minute"),
        ("* * 0 * *", "never comes: day-of-month"),
        ("* * * mai *", "never comes: month"),
        ("*/0 * * * *", "never comes: minute"),
        ("* 5-2 * * *", "never comes: hour"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 L * *", "not cron's own"),
        ("0 0 * * 1#2", "not cron's own"),
        ("0 0 0 2 * *", "five fields"),
    ],
)
def test_what_is_no_time_is_told(text: object, fault: str) -> None:
    """Half a sentence that names the field."""
    with pytest.raises(ValueError, match=fault):
        parse_cron(text)


def test_other_tools_read_the_same_days() -> None:
    """Numbers alone, Sunday being 0, as Celery's own crontab wants them."""
    assert plain_fields(parse_cron("*/30 2 * JAN mon-fri/2,7")) == ["0,30", "2", "*", "1", "0,1,3,5"]
