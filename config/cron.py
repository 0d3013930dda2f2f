"""When a schedule's time comes: the five fields of cron(5) in a time zone. Pure.

Both day fields restricted means either of them, as cron has it. An hour that the clocks skip runs when they have been put forward; one
that they repeat runs once, unless the schedule runs every hour anyway.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(\*)|([0-9a-z]{1,3})(?:-([0-9a-z]{1,3}))?)(?:/([0-9]{1,2}))?")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_LOOK_AHEAD_DAYS = 366 * 9  # 29 February may be eight years away


@dataclass(frozen=True, slots=True)
class Cron:
    """`minute hour day month weekday`, parsed."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    either_day: bool  # both day fields are restricted

    @classmethod
    def parse(cls, value: object) -> Cron:
        """Parse `"0 2 * * mon-fri"`. Raises ValueError with half a sentence that follows the key."""
        fields = value.lower().split() if isinstance(value, str) else []
        if len(fields) != len(_FIELDS):
            raise ValueError('must be five fields, minute hour day month weekday, such as "0 2 * * *"')
        minutes, hours, days, months, weekdays = (_parse(text, *_FIELDS[i]) for i, text in enumerate(fields))
        weekdays = frozenset(day % 7 for day in weekdays)
        either = fields[2][0] != "*" and fields[4][0] != "*"
        if not either and min(days) > max(monthrange(2024, month)[1] for month in months):
            raise ValueError("names a day that never comes")
        return cls(" ".join(fields), minutes, hours, days, months, weekdays, either)

    def next_after(self, after: datetime, zone: tzinfo) -> datetime:
        """Return the first time after an instant, in UTC. Both are aware."""
        start = after.astimezone(zone).date()
        for ahead in range(_LOOK_AHEAD_DAYS):
            day = start + timedelta(days=ahead)
            if not self._runs_on(day):
                continue
            found = min((at for at in self._times(day, zone) if at > after), default=None)
            if found is not None:
                return found
        raise ValueError("names a day that never comes")

    def _runs_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def _times(self, day: date, zone: tzinfo) -> Iterator[datetime]:
        folds = (0, 1) if len(self.hours) == 24 else (0,)
        for hour in self.hours:
            for minute in self.minutes:
                for fold in folds:
                    # Where the clocks skip this time, fold 0 counts it by the offset from before: an hour later on the wall.
                    yield datetime.combine(day, time(hour, minute, fold=fold), zone).astimezone(UTC)


def _parse(text: str, what: str, least: int, most: int, names: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        step = int(match[4] or 1) if match else 0
        if match is None or not step:
            raise ValueError(f"has {_a(what)} that cannot be read")
        if match[1]:
            first, last = least, most
        else:
            first = _number(match[2], what, least, most, names)
            last = _number(match[3], what, least, most, names) if match[3] else most if match[4] else first
        if last < first:
            raise ValueError(f"has {_a(what)} that ends before it begins")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, what: str, least: int, most: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + (1 if what == "month" else 0)
    if not text.isdigit() or not least <= int(text) <= most:
        raise ValueError(f"has {_a(what)} that is not from {least} to {most}")
    return int(text)


def _a(what: str) -> str:
    return f"an {what}" if what == "hour" else f"a {what}"


def find_zone(name: str) -> tzinfo:
    """Return a time zone by name; UTC is there on machines without a time zone database too. Raises `ZoneInfoNotFoundError`."""
    return UTC if name == "UTC" else ZoneInfo(name)
