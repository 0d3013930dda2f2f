"""PATCH of a user in the sandbox: what may be changed, by whom, and how it reads afterwards."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.faults import OPERATIONS
from sandbox.resources.routes import ROUTES, find_route

ROLES = frozenset({"User.ReadUpdate.All"})


def _guest(desk: Any) -> str:
    desk.roles = frozenset({"User.Invite.All"})
    guest = desk.invite("new@partner.example")[1]["invitedUser"]["id"]
    desk.roles = ROLES
    return str(guest)


def test_a_profile_is_written_and_read_back(desk: Any) -> None:
    """All fields of a row at once; an extension attribute leaves its neighbours alone."""
    guest = _guest(desk)
    fields = {
        "displayName": "Ann Example",
        "givenName": "Ann",
        "surname": "Example",
        "companyName": "Partner",
        "department": "Sales",
        "jobTitle": "Buyer",
        "usageLocation": "DE",
        "mobilePhone": "+49 30 1234",
        "businessPhones": ["+49 30 5678"],
        "onPremisesExtensionAttributes": {"extensionAttribute10": "2027-01-31"},
    }
    assert desk.ask("PATCH", f"/users/{guest}", fields).status == 204
    second = {"onPremisesExtensionAttributes": {"extensionAttribute1": "usher"}, "department": None}
    assert desk.ask("PATCH", f"/users/{guest}", second).status == 204
    status, body = desk.read(f"/users/{guest}?$select={','.join(fields)}")
    assert status == 200
    attributes = body.pop("onPremisesExtensionAttributes")
    assert body == {
        **body,
        **{k: v for k, v in fields.items() if k != "onPremisesExtensionAttributes"},
        "department": None,
    }
    assert {name: value for name, value in attributes.items() if value} == {
        "extensionAttribute1": "usher",
        "extensionAttribute10": "2027-01-31",
    }
    assert len(attributes) == 15


@pytest.mark.parametrize(
    "bad",
    [
        {"usageLocation": "DEU"},
        {"usageLocation": "1A"},
        {"usageLocation": None},
        {"displayName": ""},
        {"displayName": None},
        {"givenName": "x" * 65},
        {"companyName": "x" * 65},
        {"department": "x" * 65},
        {"jobTitle": "x" * 129},
        {"mobilePhone": "1" * 65},
        {"mobilePhone": 49},
        {"businessPhones": "+49"},
        {"businessPhones": ["1", "2"]},
        {"mail": None},
        {"onPremisesExtensionAttributes": {"extensionAttribute16": "x"}},
        {"onPremisesExtensionAttributes": {"extensionAttribute1": "x" * 1_025}},
        {"onPremisesExtensionAttributes": "x"},
        {"id": "x"},
        {"nickname": "x"},
        {"sponsors@odata.bind": []},
    ],
)
def test_one_bad_value_changes_nothing(desk: Any, bad: dict[str, Any]) -> None:
    """Lengths and forms are checked before anything is written."""
    guest = _guest(desk)
    assert desk.ask("PATCH", f"/users/{guest}", {"surname": "Changed", **bad}).status == 400
    assert not desk.tenant.users[guest].extra


def test_a_new_address_is_found(desk: Any) -> None:
    """`mail` goes into the proxy addresses too, and the old one stays there."""
    guest = _guest(desk)
    assert desk.ask("PATCH", f"/users/{guest}", {"mail": "other@partner.example"}).status == 204
    user = desk.tenant.users[guest]
    assert user.proxy_addresses == ("SMTP:other@partner.example", "smtp:new@partner.example")
    assert desk.tenant.find("other@partner.example") is user


def test_users_are_read_by_id(desk: Any) -> None:
    """Up to fifteen in one question."""
    guest = _guest(desk)
    others = [user.id for user in desk.tenant.users.values()][:2]
    wanted = ",".join(f"'{name}'" for name in (*others, guest, "nobody"))
    status, body = desk.read(f"/users?$filter=id%20in%20({wanted})&$select=id")
    assert status == 200
    assert {user["id"] for user in body["value"]} == {*others, guest}
    wanted = ",".join(f"'{number}'" for number in range(16))
    assert desk.read(f"/users?$filter=id%20in%20({wanted})&$select=id")[0] == 400


def test_every_route_has_a_handler_and_takes_faults(desk: Any) -> None:
    """A route without a handler would be a crash; one that no fault can name could not be
    rehearsed.
    """
    for route in ROUTES:
        assert route.operation in desk.world.graph.operations
        assert route.operation in OPERATIONS
        found = find_route(route.method, route.template.replace("{}", "a%20b"))
        assert found is not None
        assert found[0].operation == route.operation
        assert found[1] == ("a b",) * route.template.count("{}")


@pytest.mark.parametrize("target", ["/users//sponsors", "/groups/", "/groups/a/photo", "/users/a/b/c/d/e"])
def test_other_paths_are_refused(desk: Any, target: str) -> None:
    """A path that usher never asks for is Graph's refusal, not a crash."""
    assert desk.read(target)[0] == 400
    assert orjson.loads(desk.ask("PATCH", target, {}).body)["error"]["code"] == "BadRequest"
