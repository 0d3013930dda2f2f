"""Directory roles: who holds one (`roleAssignments`), and who may take one for a while
(`roleEligibilityScheduleInstances`, for which a tenant needs Entra ID P2).

https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignments
https://learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityscheduleinstances
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.directory import Tenant, User
from sandbox.errors import GraphError, bad_request
from sandbox.ids import guid
from sandbox.odata import QueryError, page_link, read_options, read_page, read_top
from sandbox.resources.known import need
from sandbox.resources.routes import Asked, Handler

ASSIGNED = "assigned"
ELIGIBLE = "eligible"
_WIDE = frozenset({"RoleManagement.Read.Directory", "RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory"})
_READ_ASSIGNED = _WIDE | {"Directory.Read.All", "Directory.ReadWrite.All"}
_READ_ELIGIBLE = _WIDE | {"RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory"}
_GUEST_INVITER = "95e79109-95c0-4d8e-aee3-d01accf2d47b"


class Roles:
    """The roles of one sandbox's users and groups: each has one at most."""

    def __init__(self) -> None:
        self.base_url = ""

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"role_assignments": self.assignments, "role_eligibilities": self.eligibilities}

    def assignments(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /roleManagement/directory/roleAssignments."""
        need(asked.caller, _READ_ASSIGNED)
        return 200, self._page(asked, ASSIGNED, "roleAssignments")

    def eligibilities(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /roleManagement/directory/roleEligibilityScheduleInstances."""
        need(asked.caller, _READ_ELIGIBLE)
        if not asked.caller.tenant.has_p2:
            raise GraphError(
                400,
                "AadPremiumLicenseRequired",
                "The tenant needs to have Microsoft Entra ID P2 or Governance license.",
            )
        return 200, self._page(asked, ELIGIBLE, "roleEligibilityScheduleInstances")

    def _page(self, asked: Asked, role: str, name: str) -> dict[str, Any]:
        try:
            options = read_options(asked.query, {"$expand", "$top", "$skiptoken"})
            skip = read_page(options.get("$skiptoken"))
            end = skip + read_top(options)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        if options.get("$expand", "principal") != "principal":
            raise bad_request("Parsing OData Select and Expand failed.")
        found = [
            {
                "id": guid(f"{role}|{principal}"),
                "principalId": principal,
                "roleDefinitionId": _GUEST_INVITER,
                "directoryScopeId": "/",
                **({"principal": {"@odata.type": kind, "id": principal}} if "$expand" in options else {}),
            }
            for principal, kind in _principals(asked.caller.tenant, role)
        ]
        answer: dict[str, Any] = {"@odata.context": f"{self.base_url}/v1.0/$metadata#roleManagement/directory/{name}"}
        if len(found) > end:
            answer["@odata.nextLink"] = page_link(self.base_url, f"roleManagement/directory/{name}", asked.query, end)
        return {**answer, "value": found[skip:end]}


def holds_role(tenant: Tenant, user: User) -> bool:
    """Whether a user has a role, or is a member or owner of a group that has one or may have one:
    no application changes what is sensitive of such a user.
    https://learn.microsoft.com/graph/api/resources/users#who-can-perform-sensitive-actions
    """
    return user.role == ASSIGNED or any(
        user.id in group.members or user.id in group.owners
        for group in tenant.groups.values()
        if group.shape.role_assignable or group.role == ASSIGNED
    )


def _principals(tenant: Tenant, role: str) -> Iterator[tuple[str, str]]:
    yield from ((user.id, "#microsoft.graph.user") for user in tenant.users.values() if user.role == role)
    yield from ((group.id, "#microsoft.graph.group") for group in tenant.groups.values() if group.role == role)
