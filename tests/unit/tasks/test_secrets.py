"""Secrets that end soon are found among all that a tenant shows, and each is told of in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.scheduled.expiring_secrets import build_event
from tasks.secrets import COLUMNS, choose_ending, describe_secret, name_notice, tell_ending
from worker.graph.applications import Credential, CredentialKind, read_credentials

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def ending(days: float, name: str = "Portal") -> Credential:
    """Return a secret that ends in so many days."""
    return Credential(name, "app", CredentialKind.SECRET, "first", f"key {days:g}", NOW + timedelta(days=days))


def test_what_graph_shows_of_an_application() -> None:
    """Its secrets and certificates; nothing that is no credential, has no end, or is a hint."""
    shown: dict[str, Any] = {
        "displayName": "Portal",
        "appId": "a1",
        "passwordCredentials": [
            {"displayName": "first", "endDateTime": "2026-07-01T00:00:00Z", "keyId": "k1", "hint": "abc"},
            {"displayName": None, "endDateTime": None, "keyId": "k2"},
            "odd",
        ],
        "keyCredentials": [{"endDateTime": "2026-08-01T00:00:00.1234567Z", "keyId": "k3"}],
    }
    secret, certificate = read_credentials(shown)
    assert (secret.kind, secret.name, secret.key_id, secret.days_left(NOW)) == ("secret", "first", "k1", 29)
    assert (certificate.kind, certificate.name, certificate.ends_at.month) == ("certificate", "", 8)
    assert "abc" not in repr(secret)


@pytest.mark.parametrize("shown", [None, [], {}, {"passwordCredentials": {}, "keyCredentials": None}])
def test_what_is_no_application_has_none(shown: object) -> None:
    """Whatever Graph answers, nothing raises."""
    assert read_credentials(shown) == []


def test_only_what_ends_soon_and_has_not_ended_is_chosen() -> None:
    """To the second."""
    found = [ending(days) for days in (-400, -0.001, 0.001, 30, 30.001)]
    assert [one.key_id for one in choose_ending(found, NOW, 30 * 86_400)] == ["key 0.001", "key 30"]


def test_a_secret_is_described_by_column() -> None:
    """Days are whole, and below zero once it has ended."""
    told = describe_secret(ending(-0.5), NOW)
    assert tuple(told) == COLUMNS
    assert (told["days_left"], told["ends"]) == (-1, "2026-06-01T00:00:00Z")


def test_each_is_told_of_twice() -> None:
    """When its end comes near and in its last days; the same event has the same id."""
    assert name_notice(ending(7), NOW) == "key 7 soon"
    assert name_notice(ending(6.9), NOW) == "key 6.9 last"
    first, again = (
        build_event("contoso", [ending(20), ending(3)], NOW),
        build_event("contoso", [ending(3), ending(20)], NOW),
    )
    assert first["id"] == again["id"]
    assert build_event("contoso", [ending(20)], NOW)["id"] != first["id"]
    assert build_event("other", [ending(20), ending(3)], NOW)["id"] != first["id"]
    assert [one["key_id"] for one in first["secrets"]] == ["key 20", "key 3"]


def test_the_first_are_named_in_a_sentence() -> None:
    """The rest are counted."""
    found = [ending(0.2, "A"), ending(1.5, "B"), ending(9, "C"), ending(10, "D")]
    assert tell_ending(found, NOW) == (
        "the secret of A in less than a day, the secret of B in 1 day, the secret of C in 9 days and 1 more"
    )
