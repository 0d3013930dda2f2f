"""What a listing asks of Graph, and what a guest's properties mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from sandbox.odata import parse_users_query
from worker.graph.guests import (
    Also,
    GuestState,
    build_count,
    build_dates,
    build_listing,
    original_address,
    read_guest,
    read_guests,
)

JANUARY, MAY, JUNE = ("2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z")


def at(text: str) -> datetime:
    """The same as an instant."""
    return datetime.fromisoformat(text)


def value(**more: Any) -> dict[str, Any]:
    """A guest as Graph tells them."""
    return {"id": "1", "mail": "ann@partner.example", "userType": "Guest", "createdDateTime": JANUARY, **more}


@pytest.mark.parametrize("also", [(), (Also.SPONSORS,), (Also.SIGN_INS,), tuple(Also)])
@pytest.mark.parametrize("pending", [True, False])
def test_what_is_asked_is_understood(also: tuple[Also, ...], pending: bool) -> None:
    """Pages as large as Graph gives them; beside dates of signing in the filter is by type alone,
    and nothing is counted.
    """
    request = build_listing(also, pending=pending)
    dated = Also.SIGN_INS in also
    asked = parse_users_query(urlsplit(request.path).query, eventual=bool(request.headers))
    assert (asked.top, asked.count) == ((500, False) if dated else (999, True))
    assert ("PendingAcceptance" in unquote(request.path)) is (pending and not dated)
    assert asked.sponsors is (Also.SPONSORS in also)
    for other in (build_count(), build_dates(["11111111-2222-3333-4444-555555555555"])):
        assert parse_users_query(urlsplit(other.path).query, eventual=bool(other.headers)).top == 1


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("PendingAcceptance", "pending"),
        ("Accepted", "accepted"),
        (None, "unknown"),
        ("", "unknown"),
        ("New", "unknown"),
    ],
)
def test_a_state_that_is_not_told_is_unknown(told: str | None, state: str) -> None:
    """Never pending."""
    assert read_guest(value(externalUserState=told)).state is GuestState(state)
    assert read_guest(value()).state is GuestState.UNKNOWN


@pytest.mark.parametrize(
    ("more", "active"),
    [
        ({}, JANUARY),
        ({"externalUserState": "Accepted"}, JANUARY),
        ({"externalUserState": "Accepted", "externalUserStateChangeDateTime": MAY}, MAY),
        ({"externalUserState": "PendingAcceptance", "externalUserStateChangeDateTime": MAY}, None),
        ({"externalUserState": "PendingAcceptance", "signInActivity": {"lastSignInDateTime": MAY}}, None),
        ({"createdDateTime": None}, None),
        ({"signInActivity": {"lastSignInDateTime": JUNE, "lastSuccessfulSignInDateTime": MAY}}, JUNE),
        ({"signInActivity": {"lastSignInDateTime": MAY, "lastNonInteractiveSignInDateTime": JUNE}}, JUNE),
        ({"signInActivity": {"lastSignInDateTime": None}}, JANUARY),
    ],
)
def test_the_latest_sign_of_a_guest_counts(more: dict[str, Any], active: str | None) -> None:
    """A failed attempt too; whoever has not accepted gave none."""
    assert read_guest(value(**more)).active_at == (active and at(active))


@pytest.mark.parametrize(
    ("more", "invited"),
    [({"creationType": "Invitation"}, True), ({"creationType": "LocalAccount"}, False), ({}, False)],
)
def test_who_came_by_an_invitation(more: dict[str, Any], invited: bool) -> None:
    """Of whom Graph does not say so, nobody says it."""
    assert read_guest(value(**more)).invited is invited


def test_extension_attributes_are_read_where_they_are_asked_for() -> None:
    """Those that have a value; an odd answer has none."""
    assert "onPremisesExtensionAttributes" in build_listing((Also.ATTRIBUTES,), pending=False).path
    assert "onPremisesExtensionAttributes" not in build_listing((), pending=False).path
    kept = {"extensionAttribute10": "2026-12-31", "extensionAttribute1": None}
    assert read_guest(value(onPremisesExtensionAttributes=kept)).attributes == {"extensionAttribute10": "2026-12-31"}
    assert read_guest(value(onPremisesExtensionAttributes=[])).attributes == {}


def test_odd_answers_are_read() -> None:
    """A guest without mail has another address, or none; what is no user is passed over; nobody is
    named by `repr`.
    """
    others = [None, "other@partner.example"]
    body = {"value": [value(mail=None, otherMails=others), value(mail=None), {"id": ""}, None, "x"]}
    assert [guest.email for guest in read_guests(body)] == ["other@partner.example", ""]
    assert read_guests(None) == read_guests({"value": 3}) == []
    guest = read_guest(value(displayName="Ann", sponsors=[{"id": "7"}, {"id": "8", "displayName": "Ada"}]))
    assert guest.sponsors == ("7", "Ada")
    assert not any(word in repr(guest) for word in ("Ann", "ann@", "Ada"))
    assert guest.created_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("upn", "address"),
    [
        ("ann_partner.example#EXT#@contoso.onmicrosoft.com", "ann@partner.example"),
        ("ann_lee_partner.example#EXT#@contoso.onmicrosoft.com", "ann_lee@partner.example"),
        ("ada@contoso.example", ""),
        ("partner.example#EXT#@contoso.onmicrosoft.com", ""),
        ("", ""),
    ],
)
def test_a_principal_name_keeps_the_first_address(upn: str, address: str) -> None:
    """Whatever the guest's address is now."""
    assert original_address(upn) == address
