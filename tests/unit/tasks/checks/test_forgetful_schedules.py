"""Which schedules come more rarely than usher remembers; that they are told of is
`tests/integration/tasks/test_schedules.py`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from config.reader import parse_schedule
from tasks.checks.forgetful_schedules import is_rarer

DAY_S = 86_400.0
NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "days", "rarer"),
    [
        ({"every": "60d"}, 60, False),
        ({"every": "61d"}, 60, True),
        ({"cron": "0 2 * * *"}, 60, False),
        ({"cron": "0 2 * * *"}, 1.1, False),
        ({"cron": "0 2 * * *"}, 0.9, True),
        ({"cron": "0 2 1 * *"}, 60, False),
        ({"cron": "0 2 1 * *"}, 30.5, True),
        ({"cron": "0 2 1 */2 *"}, 60, True),  # July and August have 62 days
        ({"cron": "0 2 1 */3 *"}, 60, True),
        ({"cron": "*/5 * * 1-3 *"}, 60, True),  # often, and then for nine months not at all
        ({"cron": "* * * * *"}, 60, False),
        ({"cron": "0 2 29 2 *"}, 400, True),
        ({"cron": "0 2 1 1 *"}, 400, False),
    ],
)
def test_the_longest_time_between_two_runs_counts(when: dict[str, str], days: float, rarer: bool) -> None:
    """Not the one that comes next, nor a skipped hour more or less."""
    table = {"task": "invite_file", "connection": "contoso", "args": {"path": "a.csv"}, **when}
    schedule = parse_schedule("s", table, ["contoso"])
    assert is_rarer(schedule, days * DAY_S, NOW, ZoneInfo("Europe/Berlin")) is rarer
