"""A page speaks the reader's language and shows times in the reader's zone.

The language is the one chosen on a page before, else what the browser asks for; the zone is what a
page's script found, else UTC, which the page says. English texts are the keys of the catalogues:
another language is another folder in `words/`, made with `make words`.
"""

from __future__ import annotations

import gettext
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers, units
from babel.core import negotiate_locale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "de": "Deutsch"}
"""Each by its own name, as the switch shows it."""
COOKIE: Final = "usher_language"
ZONE_COOKIE: Final = "usher_zone"
WORDS: Final = Path(__file__).parent / "words"
DOMAIN: Final = "console"
_LOCALES: Final = {"en": Locale("en", "GB"), "de": Locale("de", "DE")}
_LONGEST_HEADER: Final = 500
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def choose_language(request: Request) -> str:
    """Return the language of a request's answer."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    accepted = request.headers.get("accept-language", "")[:_LONGEST_HEADER]
    wanted = [part.partition(";")[0].strip() for part in sorted(accepted.split(","), key=_weight, reverse=True)]
    found = negotiate_locale([tag for tag in wanted if tag], list(LANGUAGES), sep="-")
    return (found or "en").partition("-")[0]


def _weight(part: str) -> float:
    try:
        return float(part.partition("q=")[2] or 1)
    except ValueError:
        return 0.0


def find_zone(request: Request) -> ZoneInfo | None:
    """Return the reader's zone, None where it is not known yet."""
    name = unquote(request.cookies.get(ZONE_COOKIE, ""))
    if not name or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone
        return None


@lru_cache
def load_words(language: str) -> gettext.NullTranslations:
    """Return a language's catalogue; English needs none."""
    return gettext.translation(DOMAIN, WORDS, [language], fallback=language == "en")


class Forms:
    """How numbers, times and lengths of time are written in one language and zone."""

    def __init__(self, language: str, zone: tzinfo | None) -> None:
        self.locale = _LOCALES[language]
        self.zone = zone or UTC

    @property
    def zone_name(self) -> str:
        """What the zone is called."""
        return getattr(self.zone, "key", "UTC")

    def number(self, value: float) -> str:
        """1234 → "1,234", "1.234"."""
        return numbers.format_decimal(value, locale=self.locale)

    def moment(self, at: datetime) -> str:
        """An instant: "29 Nov 2026, 15:50"."""
        return dates.format_datetime(at, "medium", tzinfo=self.zone, locale=self.locale).removesuffix(
            f":{at.astimezone(self.zone):%S}"
        )

    def span(self, seconds: float) -> str:
        """A length of time in its two largest units: "3 minutes 20 seconds"."""
        left = max(1, round(seconds))
        told: list[tuple[int, str]] = []
        for size, unit in _UNITS:
            count, left = divmod(left, size)
            if count or told:
                told.append((count, unit))
        shown = [one for one in told[:2] if one[0]]
        return " ".join(units.format_unit(count, f"duration-{unit}", locale=self.locale) for count, unit in shown)
