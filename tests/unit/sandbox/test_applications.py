"""A tenant's applications are listed with the ends of their secrets and certificates."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.control.api import Control

LISTING = "/applications?$select=appId,displayName,passwordCredentials,keyCredentials"
DAY_S = 86_400


def _add(desk: Any, **body: Any) -> tuple[int, Any]:
    return Control(desk.world).answer("POST", "applications", "", "application/json", orjson.dumps(body))


def test_secrets_of_every_application_of_a_tenant_are_listed(desk: Any) -> None:
    """In pages, usher's own application first; one is found by its id."""
    for name, days in (("CRM", 12), ("Shop", -1)):
        status, added = _add(desk, action="add", name=name, secrets=[{"name": "k", "in_s": days * DAY_S}])
        assert status == 200, added
    desk.roles = frozenset({"Application.Read.All"})
    status, body = desk.read(f"{LISTING}&$top=2")
    assert (status, [app["displayName"] for app in body["value"]]) == (200, ["usher", "CRM"])
    [secret] = body["value"][1]["passwordCredentials"]
    assert (secret["displayName"], secret["endDateTime"]) == ("k", desk.world.clock.stamp_before(-12 * DAY_S))
    _, rest = desk.read(body["@odata.nextLink"].removeprefix("https://127.0.0.1:1/v1.0"))
    assert [app["displayName"] for app in rest["value"]] == ["Shop"]
    one = desk.read(f"{LISTING}&$filter=appId eq '{rest['value'][0]['appId']}'")[1]["value"]
    assert one == rest["value"]
    assert desk.read(f"/applications(appId='{one[0]['appId']}')")[0] == 200
    desk.roles = frozenset({"User.Read.All"})
    assert desk.read(LISTING)[0] == 403


@pytest.mark.parametrize("bad", [{"action": "add"}, {"name": "x"}, {"action": "add", "name": "x", "secrets": [{}]}])
def test_an_application_that_cannot_be_is_a_sentence(desk: Any, bad: dict[str, Any]) -> None:
    """And is not there."""
    assert _add(desk, **bad)[0] == 400
    assert desk.tenant.registrations == {}
