"""What usher reads of a directory: users and deleted users.

A guest is invisible here until its replication lag is over (`User.visible_s`), although the
invitation service, which asks the writing replica, knows it at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from sandbox.directory import Directory, Tenant, User
from sandbox.errors import bad_request, needs_premium, no_such_object
from sandbox.odata import PROPERTIES, SIGN_INS, QueryError, UsersQuery, page_link, parse_single_query, parse_users_query
from sandbox.resources.accounts import IN_BIN_S
from sandbox.resources.known import READ_USERS, need
from sandbox.tokens import Caller

_READ_SIGN_INS = frozenset({"AuditLog.Read.All"})


class People:
    """The reading side of one sandbox's directory."""

    def __init__(self, directory: Directory) -> None:
        self.base_url = ""
        self._directory = directory

    def list_users(self, caller: Caller, query: str, *, eventual: bool) -> tuple[dict[str, Any], int]:
        """Answer GET /users; also returns its price in resource units. Raises `GraphError`."""
        need(caller, READ_USERS)
        asked = _users_query(query, eventual)
        tenant = caller.tenant
        users = self._candidates(tenant, asked)
        _check_sign_ins(caller, asked.select)
        answer = self._page(users, asked, query, "users", tenant)
        return answer, (1 if asked.has_select else 2) + asked.sponsors

    def list_deleted(self, caller: Caller, query: str, *, eventual: bool) -> tuple[dict[str, Any], int]:
        """Answer GET /directory/deletedItems/microsoft.graph.user. Raises `GraphError`."""
        need(caller, READ_USERS)
        asked = _users_query(query, eventual)
        caller.tenant.empty_bin(self._directory.clock.stamp_before(IN_BIN_S))
        users = caller.tenant.deleted.values()
        return self._page(users, asked, query, "directory/deletedItems/microsoft.graph.user", caller.tenant), 1

    def get_user(self, caller: Caller, name: str, query: str) -> tuple[dict[str, Any], int]:
        """Answer GET /users/{id or userPrincipalName}. Raises `GraphError`."""
        need(caller, READ_USERS)
        try:
            select, has_select = parse_single_query(query)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        _check_sign_ins(caller, select)
        shown = _show(caller.tenant, self._visible(caller.tenant, name), select)
        return {"@odata.context": self._context("users/$entity", select, has_select), **shown}, 1

    def _candidates(self, tenant: Tenant, asked: UsersQuery) -> Iterable[User]:
        now_s = self._directory.clock.real_s()
        if asked.filter is not None and not asked.filter.walks:
            found = {user.id: user for address in asked.filter.addresses for user in tenant.by_address.get(address, ())}
            found |= {user.id: user for name in asked.filter.ids if (user := tenant.users.get(name)) is not None}
            return [user for user in found.values() if user.visible_s <= now_s]
        return (user for user in tenant.users.values() if user.visible_s <= now_s)

    def _page(self, users: Iterable[User], asked: UsersQuery, query: str, path: str, tenant: Tenant) -> dict[str, Any]:
        found = (user for user in users if asked.filter is None or asked.filter.matches(user))
        page = list(islice(found, asked.skip, asked.skip + asked.top))
        more = next(found, None) is not None
        answer: dict[str, Any] = {"@odata.context": self._context("users", asked.select, asked.has_select)}
        if asked.count and not asked.skip:
            answer["@odata.count"] = len(page) + more + sum(1 for _ in found)
        if more:
            answer["@odata.nextLink"] = page_link(self.base_url, path, query, asked.skip + asked.top)
        answer["value"] = [_show(tenant, user, asked.select) for user in page]
        if asked.sponsors:
            for shown, user in zip(answer["value"], page, strict=True):
                shown["sponsors"] = [_show_sponsor(tenant, name) for name in user.sponsors]
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


def _check_sign_ins(caller: Caller, select: tuple[str, ...]) -> None:
    """Raise `GraphError` where dates of signing in are asked for and may not be read."""
    if SIGN_INS in select:
        need(caller, _READ_SIGN_INS)
        if not caller.tenant.has_p1:
            raise needs_premium()


def _show(tenant: Tenant, user: User, select: tuple[str, ...]) -> dict[str, Any]:
    shown = {name: PROPERTIES[name](user) for name in select}
    if SIGN_INS in shown and not tenant.shows_sign_ins:
        shown[SIGN_INS] = None
    return shown


def _show_sponsor(tenant: Tenant, name: str) -> dict[str, Any]:
    """Show a sponsor as an expanded listing does: a group comes with its id alone."""
    user = tenant.users.get(name)
    if user is None:
        return {"@odata.type": "#microsoft.graph.group", "id": name}
    return {"@odata.type": "#microsoft.graph.user", "id": user.id, "displayName": user.display_name}
