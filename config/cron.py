"""The five fields of cron(5) say when a schedule's time comes. Pure: cronsim reads them and finds
the times.

Both day fields restricted means either of them, as cron has it. A time that the clocks skip runs
once they have been put forward; one that they repeat runs once, unless the schedule runs every hour
anyway.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = ("minutes", "hours", "days", "months", "weekdays")
_MOST = (60, 24, 31, 12, 7)
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_GAPS_OF = 400


def parse_cron(value: object) -> str:
    """Return `"0 2 * * mon-fri"` as it is kept. Raises ValueError with half a sentence."""
    text = " ".join(value.lower().split()) if isinstance(value, str) else ""
    if len(text.split()) != len(_FIELDS):
        raise ValueError('must be five fields, minute hour day month weekday, such as "0 2 * * *"')
    try:
        times = CronSim(text, _SOME_DAY)
        next(times)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise ValueError(f"has a field that cannot be read, or a day that never comes: {field}") from None
    except StopIteration:
        raise ValueError("names a day that never comes") from None
    if any(not isinstance(number, int) or number < 0 for name in _FIELDS for number in getattr(times, name)):
        raise ValueError("has a day that cannot be read (L and # are not cron's own)")
    return text


def next_after(text: str, after: datetime, zone: tzinfo) -> datetime:
    """Return the first time of a parsed text after an instant, in UTC. Both are aware."""
    return next(CronSim(text, after.astimezone(zone))).astimezone(UTC)


@lru_cache(maxsize=256)
def shortest_gap_s(text: str) -> float:
    """Return the shortest time between two runs of a parsed text, of its first 400 runs (a year,
    for a daily one), as a clock shows it that is never put forward or back.
    """
    times = list(islice(CronSim(text, _SOME_DAY), _GAPS_OF))
    return min((after - before).total_seconds() for before, after in pairwise(times))


def plain_fields(text: str) -> list[str]:
    """Return a parsed text's five fields as lists of numbers, `*` for all of them: what every other
    cron reads alike.
    """
    times = CronSim(text, _SOME_DAY)
    found = [
        sorted({number % 7 if name == "weekdays" else number for number in getattr(times, name)}) for name in _FIELDS
    ]
    return [
        "*" if len(numbers) == most else ",".join(map(str, numbers)) for numbers, most in zip(found, _MOST, strict=True)
    ]


def find_zone(name: str) -> tzinfo:
    """Return a time zone by name; UTC is there on machines without a time zone database too. Raises
    `ZoneInfoNotFoundError`.
    """
    return UTC if name == "UTC" else ZoneInfo(name)
