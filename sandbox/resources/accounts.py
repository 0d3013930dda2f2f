"""Accounts: members are made, users deleted into the bin, restored from it, and purged.

The danger beside every reference: DELETE on a member or sponsor without `/$ref` deletes that user's
account, as Graph does. https://learn.microsoft.com/graph/api/user-delete-sponsors
"""

from __future__ import annotations

import re
from typing import Any

from sandbox import errors
from sandbox.clock import Clock
from sandbox.directory import Directory, Tenant, User
from sandbox.errors import bad_request, unknown_property
from sandbox.odata import DEFAULT_SELECT, PROPERTIES, QueryError, parse_single_query
from sandbox.recorder import Recorder
from sandbox.resources.known import READ_USERS, need
from sandbox.resources.roles import holds_role
from sandbox.resources.routes import Asked, Handler

_LARGE = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})
_DELETE = _LARGE | {"User.DeleteRestore.All"}
_CREATE = _LARGE | {"User.Create"}
IN_BIN_S = 30 * 86_400
"""How long a deleted user can be restored. https://learn.microsoft.com/graph/api/user-delete"""
_REQUIRED = ("accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName")
_OPTIONAL = frozenset({"givenName", "surname", "companyName", "department", "jobTitle", "usageLocation"})
_RESTORE = frozenset({"newUserPrincipalName", "autoReconcileProxyConflict"})
_UPN = re.compile(r"[A-Za-z0-9'._!#^~-]{1,64}@[^@\s]+")
_KINDS_OF_CHARACTERS = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")


class Accounts:
    """Makes, deletes and restores users."""

    def __init__(self, directory: Directory, recorder: Recorder, clock: Clock) -> None:
        self.base_url = ""
        self._directory = directory
        self._recorder = recorder
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {
            "create_user": self.create,
            "delete_user": self.delete,
            "deleted_item": self.get_deleted,
            "restore": self.restore,
            "purge": self.purge,
        }

    def create(self, asked: Asked) -> tuple[int, Any]:
        """Do POST /users: make a member. Raises `GraphError`."""
        need(asked.caller, _CREATE)
        tenant, body = asked.caller.tenant, asked.body
        _check_member(tenant, body)
        user = self._directory.new_member(tenant, body["userPrincipalName"], body["displayName"])
        user.mail, user.proxy_addresses = None, ()  # a mailbox comes with a licence
        user.enabled = body["accountEnabled"]
        user.extra = {name: body[name] for name in _OPTIONAL & body.keys()} or None
        self._recorder.user_changed(tenant, user)
        return 201, self._shown(user, DEFAULT_SELECT)

    def delete(self, asked: Asked) -> tuple[int, None]:
        """Delete the user whom the path ends with, whatever it began with."""
        need(asked.caller, _DELETE)
        tenant = asked.caller.tenant
        user = tenant.users.get(asked.names[-1].lower())
        if user is None:
            raise errors.no_such_object(asked.names[-1])
        if holds_role(tenant, user):
            raise errors.not_allowed()
        tenant.remove(user, self._clock.stamp())
        self._recorder.user_changed(tenant, user)
        return 204, None

    def get_deleted(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /directory/deletedItems/{id}. Raises `GraphError`."""
        need(asked.caller, READ_USERS)
        try:
            select, _ = parse_single_query(asked.query)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        return 200, self._shown(self._binned(asked), select)

    def restore(self, asked: Asked) -> tuple[int, Any]:
        """Do POST /directory/deletedItems/{id}/restore: the same object, with its groups. Raises
        `GraphError`: a 404 once it is purged, a 400 where somebody else has its name or address
        by now.
        """
        need(asked.caller, _DELETE)
        tenant, body = asked.caller.tenant, asked.body or {}
        if type(body) is not dict or not body.keys() <= _RESTORE:
            raise bad_request(f"The body of a restore has {' and '.join(sorted(_RESTORE))} at most.")
        user = self._binned(asked)
        upn = body.get("newUserPrincipalName") or user.upn
        if _is_taken(tenant, upn):
            raise errors.address_in_use("userPrincipalName")  # status and words are the sandbox's own
        free = tuple(proxy for proxy in user.proxy_addresses if not _is_taken(tenant, proxy.partition(":")[2]))
        if free != user.proxy_addresses and not body.get("autoReconcileProxyConflict"):
            raise errors.address_in_use("proxyAddresses")
        if user.mail and _is_taken(tenant, user.mail):
            user.mail = None
        user.upn, user.proxy_addresses = upn, free
        tenant.restore(user)
        self._recorder.user_changed(tenant, user)
        return 200, {**self._shown(user, DEFAULT_SELECT), "@odata.type": "#microsoft.graph.user"}

    def purge(self, asked: Asked) -> tuple[int, None]:
        """Do DELETE /directory/deletedItems/{id}: gone for good. Raises `GraphError`."""
        need(asked.caller, _DELETE)
        tenant, user = asked.caller.tenant, self._binned(asked)
        tenant.purge(user)
        self._recorder.user_purged(tenant, user)
        return 204, None

    def _binned(self, asked: Asked) -> User:
        tenant = asked.caller.tenant
        tenant.empty_bin(self._clock.stamp_before(IN_BIN_S))
        user = tenant.deleted.get(asked.names[0].lower())
        if user is None:
            raise errors.no_such_object(asked.names[0])
        return user

    def _shown(self, user: User, select: tuple[str, ...]) -> dict[str, Any]:
        context = f"{self.base_url}/v1.0/$metadata#directoryObjects/$entity"
        return {"@odata.context": context, **{name: PROPERTIES[name](user) for name in select}}


def _is_taken(tenant: Tenant, address: str) -> bool:
    return address.lower() in tenant.by_address


def _check_member(tenant: Tenant, body: Any) -> None:
    """Check what a new member is made of. Raises `GraphError`."""
    if type(body) is not dict:
        raise bad_request("Unable to read JSON request payload. A JSON object is expected.")
    for name in body.keys() - {*_REQUIRED, *_OPTIONAL}:
        raise unknown_property(name, "microsoft.graph.user")
    for name in _REQUIRED:
        if body.get(name) in (None, ""):
            raise bad_request(f"A value is required for property '{name}' of resource 'User'.", "Request_BadRequest")
    upn = body["userPrincipalName"]
    if type(upn) is not str or not _UPN.fullmatch(upn):
        raise bad_request("Invalid value specified for property 'userPrincipalName' of resource 'User'.")
    if upn.partition("@")[2].lower() not in tenant.domains:
        raise bad_request(
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain"
            " names in your organization.",
            "Request_BadRequest",
        )
    if _is_taken(tenant, upn):
        raise errors.address_in_use("userPrincipalName")
    profile = body["passwordProfile"]
    password = profile.get("password") if type(profile) is dict else None
    if type(password) is not str or not _is_strong(password):
        raise bad_request(
            "The specified password does not comply with password complexity requirements. Please provide a different"
            " password.",
            "Request_BadRequest",
        )


def _is_strong(password: str) -> bool:
    """Whether a password has 8 to 256 characters, of three kinds.
    https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy
    """
    return 8 <= len(password) <= 256 and sum(bool(re.search(kind, password)) for kind in _KINDS_OF_CHARACTERS) > 2
