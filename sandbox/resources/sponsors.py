"""Sponsors of a guest: at most five users or groups, read, added and removed by reference.

https://learn.microsoft.com/graph/api/user-post-sponsors
"""

from __future__ import annotations

from typing import Any

from sandbox import errors
from sandbox.directory import Tenant
from sandbox.errors import bad_request
from sandbox.odata import PROPERTIES, QueryError, parse_single_query
from sandbox.recorder import Recorder
from sandbox.resources import group_query
from sandbox.resources.groups import READ_GROUPS
from sandbox.resources.known import READ_USERS, Known, need
from sandbox.resources.references import References
from sandbox.resources.routes import Asked, Handler

MOST_SPONSORS = 5
"""https://learn.microsoft.com/entra/external-id/b2b-sponsors"""
_WRITE = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})


class Sponsors:
    """The sponsors of one sandbox's guests."""

    def __init__(self, known: Known, recorder: Recorder, references: References) -> None:
        self.base_url = ""
        self._known = known
        self._recorder = recorder
        self._references = references

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {"sponsors": self.list, "add_sponsor": self.add, "remove_sponsor": self.remove}

    def list(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /users/{id}/sponsors; of what may not be read, with id and type alone."""
        need(asked.caller, READ_USERS)
        try:
            select, _ = parse_single_query(asked.query)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        tenant = asked.caller.tenant
        user = self._known.user(tenant, asked.names[0], "sponsors")
        reads_groups = not asked.caller.roles.isdisjoint(READ_GROUPS)
        shown = [_show(tenant, name, select, reads_groups=reads_groups) for name in user.sponsors]
        context = f"{self.base_url}/v1.0/$metadata#directoryObjects"
        return 200, {"@odata.context": context, "value": [entry for entry in shown if entry]}

    def add(self, asked: Asked) -> tuple[int, None]:
        """Do POST /users/{id}/sponsors/$ref."""
        need(asked.caller, _WRITE)
        tenant = asked.caller.tenant
        name = self._references.read_one(asked.body, "users", "groups")
        user = self._known.user(tenant, asked.names[0], "sponsors")
        if name not in tenant.users and name not in tenant.groups:
            raise errors.no_such_object(name)
        if name in user.sponsors:
            raise bad_request(
                "One or more added object references already exist for the following modified properties: 'sponsors'.",
                "Request_BadRequest",
            )
        if len(user.sponsors) >= MOST_SPONSORS:
            # The limit is documented; status and words are the sandbox's own.
            raise bad_request(f"A user can have at most {MOST_SPONSORS} sponsors.", "Request_BadRequest")
        user.sponsors = (*user.sponsors, name)
        self._recorder.user_changed(tenant, user)
        return 204, None

    def remove(self, asked: Asked) -> tuple[int, None]:
        """Do DELETE /users/{id}/sponsors/{id}/$ref."""
        need(asked.caller, _WRITE)
        tenant, name = asked.caller.tenant, asked.names[1].lower()
        user = self._known.user(tenant, asked.names[0], "sponsors")
        if name not in user.sponsors:
            raise errors.no_such_object(asked.names[1])
        user.sponsors = tuple(sponsor for sponsor in user.sponsors if sponsor != name)
        self._recorder.user_changed(tenant, user)
        return 204, None


def _show(tenant: Tenant, name: str, select: tuple[str, ...], *, reads_groups: bool) -> dict[str, Any] | None:
    if (user := tenant.users.get(name)) is not None:
        return {"@odata.type": "#microsoft.graph.user", **{key: PROPERTIES[key](user) for key in select}}
    if (group := tenant.groups.get(name)) is None:
        return None
    shown = {key: group_query.PROPERTIES[key](group) for key in select if key in group_query.PROPERTIES}
    return {"@odata.type": "#microsoft.graph.group", **(shown if reads_groups else {"id": name})}
