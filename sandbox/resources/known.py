"""Whom the resources of a tenant speak of: the users and groups that a part of it knows by now."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox import errors
from sandbox.directory import Directory, Tenant, User
from sandbox.groups import Group
from sandbox.tokens import Caller

READ_USERS = frozenset(
    {*("User.Read.All", "User.ReadUpdate.All", "User.ReadWrite.All"), "Directory.Read.All", "Directory.ReadWrite.All"}
)
"""The permissions that each let an application read users."""


class Known:
    """What the parts of a tenant (`options.PARTS`) know of its users."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def find(self, tenant: Tenant, name: str, part: str) -> User | None:
        """Return the user with an id or userPrincipalName, if this part knows it by now."""
        user = tenant.users.get(name.lower())
        if user is None:
            holders = tenant.by_address.get(name.lower(), ())
            user = next((holder for holder in holders if holder.upn.lower() == name.lower()), None)
        if user is None or user.known_s(part) > self._directory.clock.real_s():
            return None
        return user

    def user(self, tenant: Tenant, name: str, part: str) -> User:
        """Return that user. Raises `GraphError`, a 404, while this part does not know it."""
        user = self.find(tenant, name, part)
        if user is None:
            raise errors.no_such_object(name)
        return user


def find_group(tenant: Tenant, name: str) -> Group:
    """Return a group by its id. Raises `GraphError`, a 404."""
    group = tenant.groups.get(name.lower())
    if group is None:
        raise errors.no_such_object(name)
    return group


def need(caller: Caller, roles: Iterable[str]) -> None:
    """Raise Graph's 403 where the application has none of these permissions."""
    if caller.roles.isdisjoint(roles):
        raise errors.not_allowed()
