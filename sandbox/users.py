"""What usher reads of a directory, and the one thing it changes: users and deleted users.

A guest is invisible here until its replication lag is over (`User.visible_s`), although the
invitation service, which asks the writing replica, knows it at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox import errors
from sandbox.directory import Directory, Tenant, User
from sandbox.errors import bad_request, no_such_object, unknown_property
from sandbox.odata import PROPERTIES, QueryError, UsersQuery, parse_single_query, parse_users_query
from sandbox.recorder import Recorder
from sandbox.tokens import Caller

_LARGE = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})
_READ_USERS = _LARGE | {"User.Read.All", "User.ReadUpdate.All", "Directory.Read.All"}
_UPDATE_USERS = _LARGE | {"User.ReadUpdate.All"}
_UPDATE_PROPERTY = {
    "accountEnabled": _LARGE | {"User.EnableDisableAccount.All"},
    "otherMails": _LARGE | {"User-Mail.ReadWrite.All"},
}
"""Permissions for what is more sensitive than a name.
https://learn.microsoft.com/graph/api/user-update
"""
_CHANGEABLE = frozenset(
    {
        "displayName",
        "givenName",
        "surname",
        "companyName",
        "usageLocation",
        "preferredLanguage",
        "jobTitle",
        "department",
        "accountEnabled",
        "otherMails",
    }
)


class People:
    """The reading side of one sandbox's directory."""

    def __init__(self, directory: Directory, recorder: Recorder) -> None:
        self.base_url = ""
        self._directory = directory
        self._recorder = recorder

    def list_users(self, caller: Caller, query: str, *, eventual: bool) -> tuple[dict[str, Any], int]:
        """Answer GET /users; also returns its price in resource units. Raises `GraphError`."""
        _need(caller, _READ_USERS)
        asked = _users_query(query, eventual)
        tenant = caller.tenant
        users = self._candidates(tenant, asked)
        return self._page(users, asked, query, "users"), 1 if asked.has_select else 2

    def list_deleted(self, caller: Caller, query: str, *, eventual: bool) -> tuple[dict[str, Any], int]:
        """Answer GET /directory/deletedItems/microsoft.graph.user. Raises `GraphError`."""
        _need(caller, _READ_USERS)
        asked = _users_query(query, eventual)
        users = caller.tenant.deleted.values()
        return self._page(users, asked, query, "directory/deletedItems/microsoft.graph.user"), 1

    def get_user(self, caller: Caller, name: str, query: str) -> tuple[dict[str, Any], int]:
        """Answer GET /users/{id or userPrincipalName}. Raises `GraphError`."""
        _need(caller, _READ_USERS)
        try:
            select, has_select = parse_single_query(query)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        shown = _show(self._visible(caller.tenant, name), select)
        return {"@odata.context": self._context("users/$entity", select, has_select), **shown}, 1

    def update_user(self, caller: Caller, name: str, body: dict[str, Any]) -> None:
        """Do PATCH /users/{id}. Raises `GraphError`, a 404 while the user is not replicated yet."""
        for roles in {_UPDATE_PROPERTY.get(key, _UPDATE_USERS) for key in body} or {_UPDATE_USERS}:
            _need(caller, roles)
        if not body:
            raise bad_request("Empty Payload. JSON content expected.")
        for key in body.keys() - _CHANGEABLE:
            if key in PROPERTIES:
                raise bad_request(f"Property '{key}' is read-only and cannot be set.", "Request_BadRequest")
            raise unknown_property(key, "microsoft.graph.user")
        user = self._visible(caller.tenant, name)
        before = list(user.addresses())
        for key, value in body.items():
            _set(user, key, value)
        caller.tenant.reindex(user, before)
        self._recorder.user_changed(caller.tenant, user)

    def _candidates(self, tenant: Tenant, asked: UsersQuery) -> Iterable[User]:
        now_s = self._directory.clock.real_s()
        if asked.filter is not None:
            found = {user.id: user for address in asked.filter.addresses for user in tenant.by_address.get(address, ())}
            found |= {one: user for one in asked.filter.ids if (user := tenant.users.get(one))}
            return [user for user in found.values() if user.visible_s <= now_s]
        return [user for user in tenant.users.values() if user.visible_s <= now_s]

    def _page(self, users: Iterable[User], asked: UsersQuery, query: str, path: str) -> dict[str, Any]:
        found = [user for user in users if asked.filter is None or asked.filter.matches(user)]
        page = found[asked.skip : asked.skip + asked.top]
        answer: dict[str, Any] = {"@odata.context": self._context("users", asked.select, asked.has_select)}
        if asked.count:
            answer["@odata.count"] = len(found)
        if len(found) > asked.skip + asked.top:
            rest = "&".join(
                part for part in query.split("&") if part and not part.startswith(("$skiptoken", "%24skip"))
            )
            separator = "&" if rest else ""
            answer["@odata.nextLink"] = (
                f"{self.base_url}/v1.0/{path}?{rest}{separator}$skiptoken={asked.skip + asked.top}"
            )
        answer["value"] = [_show(user, asked.select) for user in page]
        return answer

    def _visible(self, tenant: Tenant, name: str) -> User:
        user = tenant.users.get(name.lower())
        if user is None:
            user = next(
                (holder for holder in tenant.by_address.get(name.lower(), ()) if holder.upn.lower() == name.lower()),
                None,
            )
        if user is None or user.visible_s > self._directory.clock.real_s():
            raise no_such_object(name)
        return user

    def _context(self, entity: str, select: tuple[str, ...], has_select: bool) -> str:
        if has_select:
            entity = entity.replace("users", f"users({','.join(select)})")
        return f"{self.base_url}/v1.0/$metadata#{entity}"


def _users_query(query: str, eventual: bool) -> UsersQuery:
    try:
        return parse_users_query(query, eventual=eventual)
    except QueryError as error:
        raise bad_request(str(error), error.code) from None


def _need(caller: Caller, roles: frozenset[str]) -> None:
    if caller.roles.isdisjoint(roles):
        raise errors.not_allowed()


def _show(user: User, select: tuple[str, ...]) -> dict[str, Any]:
    return {name: PROPERTIES[name](user) for name in select}


def _set(user: User, key: str, value: object) -> None:
    if key == "accountEnabled":
        if not isinstance(value, bool):
            raise bad_request("Cannot convert the value of property 'accountEnabled' to the expected type.")
        user.enabled = value
    elif key == "otherMails":
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise bad_request("Property 'otherMails' is a collection of strings.")
        user.other_mails = tuple(value)
    elif value is not None and not isinstance(value, str):
        raise bad_request(f"Cannot convert the value of property '{key}' to the expected type.")
    elif key == "displayName":
        if not value:
            raise bad_request("Property 'displayName' cannot be empty.", "Request_BadRequest")
        user.display_name = value
    else:
        user.extra = {**(user.extra or {}), key: value}
