"""A page speaks the reader's language, and shows times and numbers as the reader writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from starlette.requests import Request

from console.pages.language import Forms, choose_language, find_zone, load_words


def _request(accept: str = "", cookie: str = "") -> Request:
    headers = [(b"accept-language", accept.encode()), (b"cookie", cookie.encode())]
    return Request({"type": "http", "headers": headers, "method": "GET", "path": "/"})


@pytest.mark.parametrize(
    ("accept", "cookie", "language"),
    [
        ("", "", "en"),
        ("de", "", "de"),
        ("de-CH,de;q=0.9,en;q=0.8", "", "de"),
        ("fr, de;q=0.5, en;q=0.7", "", "en"),
        ("ja", "", "en"),
        ("de", "usher_language=en", "en"),
        ("en", "usher_language=de", "de"),
        ("de", "usher_language=../../etc", "de"),
        (";;;q=x,,", "", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(accept: str, cookie: str, language: str) -> None:
    """What the reader chose counts, then what the browser asks for, in its order; else English."""
    assert choose_language(_request(accept, cookie)) == language


@pytest.mark.parametrize(
    ("cookie", "zone"),
    [
        ("usher_zone=Europe%2FBerlin", "Europe/Berlin"),
        ("usher_zone=../../etc/passwd", None),
        ("usher_zone=Nowhere", None),
        ("usher_zone=" + "a" * 500, None),
        ("", None),
    ],
)
def test_the_zone_is_one_that_exists(cookie: str, zone: str | None) -> None:
    """What a browser says of its zone is believed only where there is such a zone."""
    found = find_zone(_request("", cookie))
    assert (found.key if found else None) == zone


def test_times_numbers_and_lengths_are_written_as_the_reader_writes_them() -> None:
    """The same moment and the same numbers, in two languages and two zones."""
    at = datetime(2026, 11, 29, 15, 50, 7, tzinfo=UTC)
    english, german = Forms("en", None), Forms("de", ZoneInfo("Europe/Berlin"))
    assert (english.moment(at), english.zone_name) == ("29 Nov 2026, 15:50", "UTC")
    assert (german.moment(at), german.zone_name) == ("29.11.2026, 16:50", "Europe/Berlin")
    assert (english.number(1234567), german.number(1234567)) == ("1,234,567", "1.234.567")
    assert (english.span(200), german.span(200)) == ("3 minutes 20 seconds", "3 Minuten 20 Sekunden")
    assert (english.span(0.2), english.span(90_000)) == ("1 second", "1 day 1 hour")


def test_the_german_words_are_there() -> None:
    """The compiled catalogue is found where it is packaged."""
    assert load_words("de").gettext("Jobs") == "Aufträge"
    assert load_words("de").ngettext("%(num)s guest", "%(num)s guests", 2) == "%(num)s Gäste"
    assert load_words("en").gettext("Jobs") == "Jobs"
