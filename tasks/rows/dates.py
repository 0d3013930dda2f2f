"""A date of a list is read: ISO 8601, or one of the ways in which Excel saves a date's cell as
text.

Pure. A workbook's own dates come here as ISO text already. Day and month are never guessed:
`03/04/2026` is March in Chicago and April in Oslo, and is refused.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2199
"""Years beyond are slips of the pen, such as 0206 and 20226."""

# Behind the date Excel, pandas and Graph write a time, which says nothing about a day's end.
_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_YEAR_FIRST: Final = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})\.?")  # Japanese, Hungarian, Swedish
_DAY_FIRST: Final = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")  # a dot is never the American order
_EITHER: Final = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})")


class NotADate(ValueError):
    """A text is no date, or may be two; `str()` completes "column …"."""


def parse_date(text: str) -> str:
    """Return a date as ISO text, `2026-12-31`. Raises `NotADate`."""
    if found := _ISO.fullmatch(text) or _YEAR_FIRST.fullmatch(text):
        year, month, day = found[1], found[2], found[3]
    elif found := _DAY_FIRST.fullmatch(text):
        year, month, day = found[3], found[2], found[1]
    elif found := _EITHER.fullmatch(text):
        year, month, day = found[4], *_order(int(found[1]), int(found[3]))
    else:
        raise NotADate("is not a date such as 2026-12-31")
    try:
        parsed = date(int(year), int(month), int(day))
    except ValueError:
        raise NotADate("is not a day of the calendar") from None
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        raise NotADate(f"is not a date between {FIRST_YEAR} and {LAST_YEAR}")
    return parsed.isoformat()


def _order(first: int, second: int) -> tuple[str, str]:
    """Return month and day of `31/12` and `12/31`."""
    if first != second and first <= 12 and second <= 12:
        raise NotADate("may be read as two dates, with the day first or the month; write 2026-12-31")
    month, day = (second, first) if first > 12 else (first, second)
    return str(month), str(day)
