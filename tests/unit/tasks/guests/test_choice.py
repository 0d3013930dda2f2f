"""Which guests a choice means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tasks.guests.choice import Choice
from worker.graph.guests import Also, Guest, GuestState

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LONG = NOW - timedelta(days=100)
ENDS = {"ends_by": date(2026, 11, 15), "expiry_attribute": "a10"}
ANN = Guest("1", "ann@mail.partner.example", "Ann", GuestState.ACCEPTED, LONG, LONG, True)


@pytest.mark.parametrize(
    ("choice", "guest", "taken"),
    [
        ({}, {}, True),
        ({"state": GuestState.PENDING}, {}, False),
        ({"state": GuestState.PENDING}, {"state": GuestState.UNKNOWN}, False),
        ({"invited_before": NOW}, {}, True),
        ({"invited_before": LONG}, {}, False),
        ({"invited_before": NOW}, {"created_at": None}, False),
        ({"inactive_since": NOW}, {}, True),
        ({"inactive_since": NOW}, {"signed_in_at": NOW}, False),
        ({"inactive_since": NOW}, {"state": GuestState.PENDING}, False),
        ({"inactive_since": NOW}, {"created_at": None, "state_since": None}, False),
        ({"domain": "partner.example"}, {}, True),
        ({"domain": "mail.partner.example"}, {}, True),
        ({"domain": "artner.example"}, {}, False),
        ({"domain": "partner.example"}, {"email": ""}, False),
        ({"domain": "xn--mller-kva.example"}, {"email": "a@MÜLLER.example"}, True),
        ({"without_sponsor": True}, {"sponsors": ()}, True),
        ({"without_sponsor": True}, {"sponsors": ("Ada",)}, False),
        ({"without_sponsor": True}, {"sponsors": None}, False),
        ({"enabled": False}, {}, False),
        ({"enabled": True}, {}, True),
        (ENDS, {}, False),
        (ENDS, {"attributes": {"a10": "2026-11-14"}}, True),
        (ENDS, {"attributes": {"a10": "2026-11-15"}}, True),
        (ENDS, {"attributes": {"a10": "2026-11-15T23:00:00"}}, True),
        (ENDS, {"attributes": {"a10": "2026-11-16"}}, False),
        (ENDS, {"attributes": {"a10": "2020-01-01"}}, True),
        (ENDS, {"attributes": {"a10": "for ever"}}, False),
        (ENDS, {"attributes": {"a11": "2020-01-01"}}, False),
    ],
)
def test_a_choice_means_whom_it_can_tell(choice: dict[str, Any], guest: dict[str, Any], taken: bool) -> None:
    """Where nobody can tell, the guest is not meant."""
    assert Choice(**choice).takes(replace(ANN, **guest)) is taken


def test_a_choice_says_what_it_needs() -> None:
    """Nothing else is read of each guest."""
    assert Choice().needs == frozenset()
    assert Choice(ends_by=NOW.date()).needs == {Also.ATTRIBUTES}
    assert Choice(without_sponsor=True, inactive_since=NOW).needs == {Also.SPONSORS, Also.SIGN_INS}
