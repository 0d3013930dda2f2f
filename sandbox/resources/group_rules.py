"""Whom a group takes as a member, and in which words it refuses.

Texts that nobody has published are the sandbox's own and say so.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox import errors
from sandbox.directory import User
from sandbox.errors import GraphError, bad_request
from sandbox.groups import Group
from sandbox.resources.known import need
from sandbox.tokens import Caller

_ROLES_TOO = frozenset({"RoleManagement.ReadWrite.Directory"})


def check_changeable(caller: Caller, group: Group) -> None:
    """Raise `GraphError` where nobody, or not this application, can change its membership."""
    shape = group.shape
    if shape.role_assignable:
        need(caller, _ROLES_TOO)
    if shape.synced:
        raise bad_request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
            "currently undergoing migration.",
            "Request_BadRequest",
        )
    if "DynamicMembership" in shape.types:
        # The refusal is known, its words and status are not.
        raise bad_request("Cannot modify the members of a group with dynamic membership.", "Request_BadRequest")
    if shape.mail_enabled and "Unified" not in shape.types:
        raise bad_request(
            "Cannot Update a mail-enabled security groups and or distribution list.", "Request_BadRequest"
        )


def check_new_members(group: Group, users: Sequence[User]) -> None:
    """Raise `GraphError` where one of these cannot join: then none of them does."""
    ids = [user.id for user in users]
    if len(set(ids)) < len(ids) or not group.members.keys().isdisjoint(ids):
        raise already_member()
    if not group.guests and any(user.user_type == "Guest" for user in users):
        raise GraphError(
            403,
            "Authorization_RequestDenied",
            "Guests users are not allowed to join this Unified Group due to policy setting. paramName: Members, "
            "paramValue: , objectType: Microsoft.Online.DirectoryServices.Group",
        )
    if group.most is not None and len(group.members) + len(ids) > group.most:
        raise GraphError(  # the code is known, the words are the sandbox's
            403, "Directory_QuotaExceeded", "The object has reached its quota of forward-link references."
        )


def already_member() -> GraphError:
    """Return the 400 for a member who is one already."""
    return bad_request(
        "One or more added object references already exist for the following modified properties: 'members'.",
        "Request_BadRequest",
    )


def no_such_reference() -> GraphError:
    """Return the 400 for a reference that the group's side does not know, or not yet."""
    return bad_request(
        "The source resource object or one of the objects being referenced do not exist.", "Request_BadRequest"
    )


def not_a_member(user_id: str) -> GraphError:
    """Return the 404 for somebody who cannot be removed, being no member."""
    return errors.no_such_object(user_id)
