"""Teams: members added 200 a request, each with an answer of its own.

https://learn.microsoft.com/graph/api/conversationmembers-add
"""

from __future__ import annotations

import random
from typing import Any

from sandbox.directory import Tenant, User
from sandbox.errors import GraphError, bad_request
from sandbox.groups import Group
from sandbox.odata import QueryError, read_options
from sandbox.recorder import Recorder
from sandbox.resources.groups import join
from sandbox.resources.known import Known
from sandbox.resources.references import References
from sandbox.resources.routes import Asked, Handler
from sandbox.tokens import Caller

_ADD = ("TeamMember.ReadWriteNonOwnerRole.All", "TeamMember.ReadWrite.All")
_READ = ("Team.ReadBasic.All", "TeamSettings.Read.All", "TeamSettings.ReadWrite.All", "Group.Read.All")
_MOST_AT_ONCE = 200
_MEMBER = "microsoft.graph.aadUserConversationMember"
_BIND = "user@odata.bind"


class Teams:
    """The teams of one sandbox's tenants: groups that are marked so."""

    def __init__(self, known: Known, recorder: Recorder, references: References, chance: random.Random) -> None:
        self.base_url = ""
        self._known = known
        self._recorder = recorder
        self._references = references
        self._chance = chance

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"team": self.get, "add_team_members": self.add}

    def get(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /teams/{id}."""
        _need(asked.caller, _READ)
        group = _team(asked.caller.tenant, asked.names[0])
        shown = {
            "id": group.id,
            "displayName": group.display_name,
            "description": group.display_name,
            "visibility": "private",
            "isArchived": False,
        }
        try:
            select = read_options(asked.query, {"$select"}).get("$select")
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        names = shown.keys() if select is None else [name.strip() for name in select.split(",")]
        for name in names:
            if name not in shown:
                raise bad_request(f"Could not find a property named '{name}' on type 'microsoft.graph.team'.")
        context = f"{self.base_url}/v1.0/$metadata#teams/$entity"
        return 200, {"@odata.context": context, **{name: shown[name] for name in names}}

    def add(self, asked: Asked) -> tuple[int, Any]:
        """Do POST /teams/{id}/members/add: 200, or 207 where not all were added; in any order."""
        _need(asked.caller, _ADD)
        tenant, body = asked.caller.tenant, asked.body
        values = body.get("values") if type(body) is dict and body.keys() == {"values"} else None
        if type(values) is not list or not 0 < len(values) <= _MOST_AT_ONCE:
            raise bad_request(f"'values' has 1 to {_MOST_AT_ONCE} members.")
        ids = [self._read(asked.caller, value) for value in values]
        group = _team(tenant, asked.names[0])
        results = [self._add_one(tenant, group, name) for name in ids]
        joined = tuple(name for name, error in results if error is None)
        self._recorder.members_changed(tenant, group, joined=joined)
        self._chance.shuffle(results)
        shown = [
            {
                "@odata.type": f"#{_MEMBER}Result",
                "userId": name,
                "error": error and {"code": error[0], "message": error[1]},
            }
            for name, error in results
        ]
        context = f"{self.base_url}/v1.0/$metadata#Collection({_MEMBER}Result)"
        return 200 if len(joined) == len(results) else 207, {"@odata.context": context, "value": shown}

    def _read(self, caller: Caller, value: Any) -> str:
        """Return the id of a member to be added."""
        if type(value) is not dict or not value.keys() <= {"@odata.type", "roles", _BIND}:
            raise bad_request(f"A member has '@odata.type', 'roles' and '{_BIND}'.")
        if str(value.get("@odata.type")).lstrip("#") != _MEMBER:
            raise bad_request("Bad Request. A member's '@odata.type' is missing or not that of a user.")
        roles = value.get("roles", [])
        if roles == ["owner"]:
            _need(caller, _ADD[1:])
        elif roles != []:
            raise bad_request("Invalid role specified for member.")
        return self._references.read(value.get(_BIND), "users")

    def _add_one(self, tenant: Tenant, group: Group, name: str) -> tuple[str, tuple[str, str] | None]:
        """Add one; returns the id, or the sandbox's own code and message where that did not go."""
        user = self._known.find(tenant, name, "teams")
        if user is None:
            return name, ("NotFound", f"Failed to find user '{name}' in the tenant.")
        if user.id in group.members:
            return name, None
        refusal = _refusal(group, user)
        if refusal is None:
            join(group, [user])
        return name, refusal


def _refusal(group: Group, user: User) -> tuple[str, str] | None:
    if not group.guests and user.user_type == "Guest":
        return "Forbidden", "Guests are not allowed to join this team due to policy setting."
    if group.most is not None and len(group.members) >= group.most:
        return "BadRequest", "The team has as many members as it may have."
    return None


def _team(tenant: Tenant, name: str) -> Group:
    group = tenant.groups.get(name.lower())
    if group is None or not group.team:
        raise GraphError(404, "NotFound", f"No team found with Group Id {name}")
    return group


def _need(caller: Caller, roles: tuple[str, ...]) -> None:
    if caller.roles.isdisjoint(roles):
        raise GraphError(
            403,
            "Forbidden",
            f"Missing role permissions on the request. API requires one of '{', '.join(roles)}'. "
            f"Roles on the request '{', '.join(sorted(caller.roles))}'.",
        )
