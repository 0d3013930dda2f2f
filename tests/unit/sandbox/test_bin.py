"""Who is deleted lies in the bin for 30 days, comes back as the same object, and then never."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.control.users import change_user

BIN = "/directory/deletedItems"
USERS = f"{BIN}/microsoft.graph.user?$select=id,mail,deletedDateTime"


def _delete(desk: Any, email: str = "linus@partner.example") -> Any:
    user = desk.tenant.find(email)
    assert desk.ask("DELETE", f"/users/{user.id}").status == 204
    return user


def test_a_deleted_user_is_found_in_the_bin_by_address_and_by_id(desk: Any) -> None:
    """And no longer among the users."""
    user = _delete(desk)
    assert desk.read(f"/users/{user.id}")[0] == 404
    for question in (f"mail eq '{user.mail}'", f"id in ('{user.id}')", f"mail in ('{user.mail}','x@y.example')"):
        status, body = desk.read(f"{USERS}&$filter={question}")
        assert (status, [found["id"] for found in body["value"]]) == (200, [user.id])
        assert body["value"][0]["deletedDateTime"]
    status, body = desk.read(f"{BIN}/{user.id}?$select=id,mail")
    assert (status, body["mail"]) == (200, user.mail)


def test_a_restored_user_is_the_same_object_in_its_groups(desk: Any) -> None:
    """Id, state and groups come back; a second restore finds nobody."""
    user = desk.tenant.find("linus@partner.example")
    group = next(group for group in desk.tenant.groups.values() if group.display_name == "Partners")
    group.members[user.id] = None
    _delete(desk)
    assert desk.read(f"/groups/{group.id}/members")[1]["value"] == []
    reply = desk.ask("POST", f"{BIN}/{user.id}/restore", {})
    assert (reply.status, orjson.loads(reply.body)["id"]) == (200, user.id)
    assert [member["id"] for member in desk.read(f"/groups/{group.id}/members?$select=id")[1]["value"]] == [user.id]
    assert desk.read(f"/users/{user.id}?$select=externalUserState")[1]["externalUserState"] == "Accepted"
    assert desk.ask("POST", f"{BIN}/{user.id}/restore", {}).status == 404


@pytest.mark.parametrize("how", ["by hand", "by time"])
def test_a_purged_user_is_gone_for_good(desk: Any, how: str) -> None:
    """Purged by an application or after 30 days: no restore, no group, and a new object next
    time.
    """
    user = _delete(desk)
    if how == "by hand":
        assert desk.ask("DELETE", f"{BIN}/{user.id}").status == 204
    else:
        user.deleted_at = desk.world.clock.stamp_before(31 * 86_400)
    assert desk.ask("POST", f"{BIN}/{user.id}/restore", {}).status == 404
    assert user.id not in [found["id"] for found in desk.read(USERS)[1]["value"]]
    assert desk.invite(user.mail)[1]["invitedUser"]["id"] != user.id


def test_a_name_that_somebody_else_has_by_now_stops_a_restore(desk: Any) -> None:
    """Both ways out are Graph's: another name, and letting go of the address."""
    user = _delete(desk)
    again = desk.invite(user.mail)[1]["invitedUser"]["id"]
    target = f"{BIN}/{user.id}/restore"
    assert desk.ask("POST", target).status == 400
    other = {"newUserPrincipalName": "linus2_partner.example#EXT#@contoso.onmicrosoft.example"}
    assert desk.ask("POST", target, other).status == 400
    assert desk.ask("POST", target, {**other, "autoReconcileProxyConflict": True}).status == 200
    assert {user.id, again} <= desk.tenant.users.keys()


@pytest.mark.parametrize("how", ["role", "group"])
def test_nobody_with_a_role_is_deleted_disabled_reset_or_given_addresses(desk: Any, how: str) -> None:
    """403, while names still change."""
    email = "linus@partner.example"
    user = desk.tenant.find(email)
    if how == "role":
        change_user(desk.world, desk.tenant, {"action": "role", "email": email, "role": "assigned"})
    else:
        next(group for group in desk.tenant.groups.values() if group.kind == "role-assignable").members[user.id] = None
    assert desk.ask("DELETE", f"/users/{user.id}").status == 403
    assert desk.ask("PATCH", f"/users/{user.id}", {"accountEnabled": False}).status == 403
    assert desk.ask("PATCH", f"/users/{user.id}", {"otherMails": ["a@b.example"]}).status == 403
    assert desk.invite(email, resetRedemption=True, invitedUser={"id": user.id})[0] == 403
    assert desk.ask("PATCH", f"/users/{user.id}", {"displayName": "Ann"}).status == 204


def test_each_wants_its_permission(desk: Any) -> None:
    """Reading the bin is reading users; delete, restore and purge are one permission."""
    user = _delete(desk)
    desk.roles = frozenset({"User.Read.All"})
    assert desk.read(USERS)[0] == 200
    assert desk.ask("POST", f"{BIN}/{user.id}/restore", {}).status == 403
    assert desk.ask("DELETE", f"{BIN}/{user.id}").status == 403
    desk.roles = frozenset({"User.DeleteRestore.All"})
    assert desk.read(USERS)[0] == 403
    assert desk.ask("POST", f"{BIN}/{user.id}/restore", {}).status == 200
    assert desk.ask("DELETE", f"/users/{user.id}").status == 204


def test_an_address_has_one_holder(desk: Any) -> None:
    """`mail` of somebody else, of a group or of a contact is refused; one's own is not."""
    desk.roles = frozenset({"User.ReadUpdate.All"})
    user = desk.tenant.find("linus@partner.example")
    for taken in ("margaret@partner.example", "team@partner.example", "contact@partner.example"):
        status, body = _patch(desk, user.id, taken)
        assert (status, "same value for property proxyAddresses" in body["error"]["message"]) == (400, True)
    assert desk.ask("PATCH", f"/users/{user.id}", {"mail": "Linus@partner.example"}).status == 204


def _patch(desk: Any, user_id: str, mail: str) -> tuple[int, Any]:
    reply = desk.ask("PATCH", f"/users/{user_id}", {"mail": mail})
    return reply.status, orjson.loads(reply.body)


NEW = {
    "accountEnabled": True,
    "displayName": "Ann Example",
    "mailNickname": "ann",
    "userPrincipalName": "ann@contoso.example",
    "passwordProfile": {"password": "Correct-horse-7", "forceChangePasswordNextSignIn": True},
}


def test_a_member_is_made(desk: Any) -> None:
    """Once: the name is taken then."""
    desk.roles = frozenset({"User.Create"})
    reply = desk.ask("POST", "/users", NEW)
    assert reply.status == 201
    desk.roles = frozenset({"User.Read.All"})
    made = desk.read(f"/users/{orjson.loads(reply.body)['id']}?$select=userType,userPrincipalName,mail")[1]
    assert (made["userType"], made["userPrincipalName"], made["mail"]) == ("Member", "ann@contoso.example", None)
    assert desk.ask("POST", "/users", NEW).status == 403
    desk.roles = frozenset({"User.ReadWrite.All"})
    assert b"property userPrincipalName already exists" in desk.ask("POST", "/users", NEW).body


@pytest.mark.parametrize(
    "bad",
    [
        {"userPrincipalName": "ann@elsewhere.example"},
        {"userPrincipalName": "an n@contoso.example"},
        {"passwordProfile": {"password": "short"}},
        {"passwordProfile": {"password": "alllowercase"}},
        {"mailNickname": None},
        {"nickname": "ann"},
    ],
)
def test_a_member_who_cannot_be_is_refused(desk: Any, bad: dict[str, Any]) -> None:
    """A foreign domain, a weak password, a missing or unknown property."""
    assert desk.ask("POST", "/users", {**NEW, **bad}).status == 400
