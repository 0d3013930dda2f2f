"""Reminders are spaced as the connection's policy says, by hand too."""

from __future__ import annotations

from tests.configs import build_connection
from worker.ledger.guests.reminders import Spacing
from worker.operations.again.remind import BY_HAND, spacing_of

DAY = 86_400.0


def test_the_policy_goes_before_what_holds_by_hand() -> None:
    """Each setting by itself."""
    assert spacing_of(build_connection()) == BY_HAND == Spacing(3 * DAY, 3)
    assert spacing_of(build_connection(clean={"remind_every": "7d", "remind_times": 2})) == Spacing(7 * DAY, 2)
    assert spacing_of(build_connection(clean={"remind_every": "20s"})) == Spacing(20.0, 3)
    assert spacing_of(build_connection(clean={"remind_times": 1})) == Spacing(3 * DAY, 1)
