"""A tally tells why rows would end so, in the words of their operation."""

from __future__ import annotations

import pytest

from tasks.forecast.rows import ForeseenRow
from tasks.forecast.tally import Tally
from worker.operations.foreseen import Foreseen, Would


def _told(operation: str, code: str, *whys: str) -> list[tuple[str, str, str]]:
    tally = Tally(operation=operation)
    for number, why in enumerate(whys):
        tally.count(ForeseenRow(number, {"email": "ann@partner.example"}, Foreseen(Would.SKIP, code, why)))
    return tally.lines()


@pytest.mark.parametrize(
    ("code", "summary"),
    [
        ("invited_before", "A job invited them lately; --resend mails again whoever of them has not accepted."),
        ("duplicate", "The same address as an earlier row."),
    ],
)
def test_a_reason_that_differs_from_row_to_row_is_told_once(code: str, summary: str) -> None:
    """Of a single row its own sentence."""
    assert _told("invite", code, "On Monday.", "On Tuesday.") == [("skip", "2", summary)]
    assert _told("invite", code, "On Monday.") == [("skip", "1", "On Monday.")]


def test_another_operation_has_nothing_of_invitations() -> None:
    """A code that it shares by name is told in its rows' own words."""
    assert _told("profile", "already_exists", "So already.", "So already.") == [("skip", "2", "So already.")]
