"""Where the directory knows none of several guests, the others of their age are not tried."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from worker.ledger.model import Row
from worker.ledger.why_waiting import Rest, Stop
from worker.sending.not_shown import wait_together

NOW_MS = 1_000_000
UNKNOWN = Stop(Rest.DIRECTORY, 2.0)


def row(age_s: float, *, new: bool = True) -> Row:
    """Return an item whose guest has been there for so long."""
    return {"email": "a@b.example", "new": new, "since": NOW_MS - round(age_s * 1000)}


ROWS = [row(9), row(8), row(7), row(6), row(20), row(6, new=False)]


def test_younger_guests_wait_with_those_who_are_not_known() -> None:
    """Each by its own age; not an older one, nor a guest of before."""
    aside = dict.fromkeys(range(3), UNKNOWN)
    assert wait_together(ROWS, [0, 1, 2], aside, range(6), NOW_MS) == {3: Stop(Rest.DIRECTORY, 3.0)}


@pytest.mark.parametrize(
    ("tried", "aside"),
    [
        ([0, 1, 2], {0: UNKNOWN, 1: UNKNOWN}),
        ([0, 1, 2], {0: UNKNOWN, 1: UNKNOWN, 2: Stop(Rest.GUEST, 2.0)}),
        ([0, 1], {0: UNKNOWN, 1: UNKNOWN}),
    ],
    ids=["one is known", "one waits for something else", "two may be gone"],
)
def test_else_the_others_are_tried(tried: list[int], aside: Mapping[int, Stop]) -> None:
    """One that got through says that the directory is there."""
    assert wait_together(ROWS, tried, aside, range(6), NOW_MS) == {}
