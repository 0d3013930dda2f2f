"""What a tenant answers to single questions is read for what it is, and never breaks a check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.directory.questions import Tenant, read_end, read_tenant

CONTOSO = {"value": [{"displayName": "Contoso", "verifiedDomains": [{"name": "a"}, {"name": "b", "isDefault": True}]}]}
EARLY, LATE = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
TWO = {
    "passwordCredentials": [
        {"hint": "abc", "endDateTime": "2027-01-01T00:00:00Z"},
        {"hint": "xyz", "endDateTime": "2028-01-01T00:00:00"},
        {"hint": "bad", "endDateTime": "some day"},
        "odd",
    ]
}


@pytest.mark.parametrize(
    ("hints", "ends_at"), [({"abc"}, EARLY), ({"xyz", "abc"}, LATE), (set[str](), LATE), ({"bad"}, LATE)]
)
def test_the_end_is_that_of_the_last_secret_in_use(hints: set[str], ends_at: datetime) -> None:
    """Where none of them can be told apart, that of the last of all."""
    assert read_end(TWO, frozenset(hints)) == ends_at


@pytest.mark.parametrize("body", [None, "", [], {}, {"passwordCredentials": "odd"}, {"passwordCredentials": []}])
def test_a_registration_without_secrets_has_no_end(body: Any) -> None:
    """Whatever else stands there."""
    assert read_end(body, frozenset({"abc"})) is None


@pytest.mark.parametrize(
    ("body", "tenant"),
    [
        (CONTOSO, Tenant("Contoso", "b")),
        ({"value": [{}]}, Tenant("without a name", "")),
        ({"value": []}, None),
        ({"value": ["odd"]}, None),
        (None, None),
    ],
)
def test_a_tenant_is_known_by_its_name_and_default_domain(body: Any, tenant: Tenant | None) -> None:
    """Anything else than an organization is no tenant."""
    assert read_tenant(body) == tenant
