import pytest

from tasks.rows.dates import NotADate, parse_date


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-31",
        "2026-12-31T00:00:00",
        "2026-12-31 00:00:00",
        "2026-12-31T23:59:59.9999999Z",
        "2026-12-31T23:59:59+01:00",
        "2026/12/31",
        "2026.12.31.",
        "31.12.2026",
        "31. 12. 2026",
        "31/12/2026",
        "12/31/2026",
        "31-12-2026",
    ],
)
def test_a_date_is_read_where_it_can_mean_one_day(text: str) -> None:
    """ISO 8601, and what Excel saves a date's cell as in different countries."""
    assert parse_date(text) == "2026-12-31"


def test_the_same_number_twice_is_one_day() -> None:
    """The third of March is written alike everywhere."""
    assert parse_date("03/03/2026") == parse_date("3.3.2026") == "2026-03-03"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("03/04/2026", "two dates"),
        ("3-4-2026", "two dates"),
        ("31/12/26", "is not a date such as"),
        ("46387", "is not a date such as"),
        ("December 31, 2026", "is not a date such as"),
        ("2026-02-30", "not a day of the calendar"),
        ("31.04.2026", "not a day of the calendar"),
        ("13/13/2026", "not a day of the calendar"),
        ("0206-12-31", "between 2000 and 2199"),
        ("２０２６-12-31T", "is not a date such as"),
    ],
)
def test_a_date_is_never_guessed(text: str, why: str) -> None:
    """What may be two days, or none, is refused with a sentence that shows how to write it."""
    with pytest.raises(NotADate, match=why):
        parse_date(text)
