"""Groups: found by name, their members read, added, up to 20 a request, and removed.

https://learn.microsoft.com/graph/api/group-post-members
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.directory import Tenant, User
from sandbox.errors import bad_request, unknown_property
from sandbox.groups import Group
from sandbox.odata import PROPERTIES, QueryError, page_link, parse_page_query
from sandbox.recorder import Recorder
from sandbox.resources import group_query, group_rules
from sandbox.resources.known import READ_USERS, Known, find_group, need
from sandbox.resources.references import References
from sandbox.resources.routes import Asked, Handler

_WRITE = frozenset({"GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"})
READ_GROUPS = _WRITE | {"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"}
_BIND = "members@odata.bind"
_MOST_AT_ONCE = 20


class Groups:
    """The groups of one sandbox's tenants."""

    def __init__(self, known: Known, recorder: Recorder, references: References) -> None:
        self.base_url = ""
        self._known = known
        self._recorder = recorder
        self._references = references

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation."""
        return {
            "groups": self.list,
            "group": self.get,
            "update_group": self.update,
            "members": self.members,
            "owners": self.owners,
            "add_member": self.add_member,
            "remove_member": self.remove_member,
            "check_member_groups": self.check_member_groups,
        }

    def list(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /groups."""
        need(asked.caller, READ_GROUPS)
        query = group_query.parse_groups_query(asked.query)
        found = [group for group in asked.caller.tenant.groups.values() if query.matches(group)]
        page = [_show_group(group, query.select) for group in found[query.skip : query.skip + query.top]]
        answer: dict[str, Any] = {"@odata.context": self._context("groups", query.select, query.has_select)}
        if len(found) > query.skip + query.top:
            answer["@odata.nextLink"] = page_link(self.base_url, "groups", asked.query, query.skip + query.top)
        return 200, {**answer, "value": page}

    def get(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /groups/{id}."""
        need(asked.caller, READ_GROUPS)
        select, has_select = group_query.parse_group_select(asked.query)
        shown = _show_group(find_group(asked.caller.tenant, asked.names[0]), select)
        return 200, {"@odata.context": self._context("groups", select, has_select) + "/$entity", **shown}

    def members(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /groups/{id}/members; of a dynamic group, all guests."""
        tenant = asked.caller.tenant
        return self._people(asked, "members", lambda group: members_of(tenant, group))

    def owners(self, asked: Asked) -> tuple[int, Any]:
        """Answer GET /groups/{id}/owners."""
        users = asked.caller.tenant.users
        return self._people(asked, "owners", lambda group: (users[name] for name in group.owners if name in users))

    def _people(self, asked: Asked, what: str, read: Callable[[Group], Iterable[User]]) -> tuple[int, Any]:
        need(asked.caller, READ_GROUPS)
        try:
            query = parse_page_query(asked.query)
        except QueryError as error:
            raise bad_request(str(error), error.code) from None
        group = find_group(asked.caller.tenant, asked.names[0])
        users = list(read(group))
        end = query.skip + query.top
        shown = [
            {"@odata.type": "#microsoft.graph.user", **{name: PROPERTIES[name](user) for name in query.select}}
            for user in users[query.skip : end]
        ]
        answer: dict[str, Any] = {"@odata.context": f"{self.base_url}/v1.0/$metadata#directoryObjects"}
        if len(users) > end:
            answer["@odata.nextLink"] = page_link(self.base_url, f"groups/{group.id}/{what}", asked.query, end)
        return 200, {**answer, "value": shown}

    def update(self, asked: Asked) -> tuple[int, None]:
        """Do PATCH /groups/{id} with members to add: all of them, or none and a refusal."""
        need(asked.caller, _WRITE)
        tenant, body = asked.caller.tenant, asked.body
        if type(body) is not dict or not body:
            raise bad_request("Empty Payload. JSON content expected.")
        for name in body.keys() - {_BIND}:
            if name in group_query.PROPERTIES:
                raise bad_request(f"Property '{name}' is read-only and cannot be set.", "Request_BadRequest")
            raise unknown_property(name, "microsoft.graph.group")
        urls = body[_BIND]
        if type(urls) is not list or not 0 < len(urls) <= _MOST_AT_ONCE:
            raise bad_request(
                f"The request has 1 to {_MOST_AT_ONCE} references in '{_BIND}'.",  # words of the sandbox's own
                "Request_BadRequest",
            )
        ids = [self._references.read(url, "directoryObjects", "users") for url in urls]
        group = find_group(tenant, asked.names[0])
        group_rules.check_changeable(asked.caller, group)
        users = [user for name in ids if (user := self._known.find(tenant, name, "groups")) is not None]
        if len(users) < len(ids):
            raise group_rules.no_such_reference()
        self._join(tenant, group, users)
        return 204, None

    def add_member(self, asked: Asked) -> tuple[int, None]:
        """Do POST /groups/{id}/members/$ref."""
        need(asked.caller, _WRITE)
        tenant = asked.caller.tenant
        name = self._references.read_one(asked.body, "directoryObjects", "users")
        group = find_group(tenant, asked.names[0])
        group_rules.check_changeable(asked.caller, group)
        self._join(tenant, group, [self._known.user(tenant, name, "groups")])
        return 204, None

    def remove_member(self, asked: Asked) -> tuple[int, None]:
        """Do DELETE /groups/{id}/members/{id}/$ref."""
        need(asked.caller, _WRITE)
        tenant, user_id = asked.caller.tenant, asked.names[1].lower()
        group = find_group(tenant, asked.names[0])
        group_rules.check_changeable(asked.caller, group)
        if user_id not in group.members:
            raise group_rules.not_a_member(asked.names[1])
        del group.members[user_id]
        self._recorder.members_changed(tenant, group, left=(user_id,))
        return 204, None

    def check_member_groups(self, asked: Asked) -> tuple[int, Any]:
        """Answer POST /users/{id}/checkMemberGroups: which of these groups the user is in."""
        need(asked.caller, READ_GROUPS)
        need(asked.caller, READ_USERS)
        tenant, body = asked.caller.tenant, asked.body
        ids = body.get("groupIds") if type(body) is dict and body.keys() == {"groupIds"} else None
        if type(ids) is not list or not 0 < len(ids) <= _MOST_AT_ONCE or not all(type(name) is str for name in ids):
            raise bad_request(f"'groupIds' has 1 to {_MOST_AT_ONCE} ids of groups.", "Request_BadRequest")
        user = self._known.user(tenant, asked.names[0], "groups")
        groups = [group for name in ids if (group := tenant.groups.get(name.lower())) is not None]
        found = [group.id for group in groups if user.id in {member.id for member in members_of(tenant, group)}]
        return 200, {"@odata.context": f"{self.base_url}/v1.0/$metadata#Collection(Edm.String)", "value": found}

    def _join(self, tenant: Tenant, group: Group, users: Iterable[User]) -> None:
        joining = list(users)
        group_rules.check_new_members(group, joining)
        join(group, joining)
        self._recorder.members_changed(tenant, group, joined=tuple(user.id for user in joining))

    def _context(self, entity: str, select: tuple[str, ...], has_select: bool) -> str:
        shown = f"{entity}({','.join(select)})" if has_select else entity
        return f"{self.base_url}/v1.0/$metadata#{shown}"


def members_of(tenant: Tenant, group: Group) -> Iterable[User]:
    """Yield the users in a group; of a dynamic one, all guests. Nobody in the bin is shown."""
    if group.kind == "dynamic":
        return (user for user in tenant.users.values() if user.user_type == "Guest")
    return (tenant.users[name] for name in group.members if name in tenant.users)


def join(group: Group, users: Iterable[User]) -> None:
    """Make users members."""
    group.members.update(dict.fromkeys(user.id for user in users))


def _show_group(group: Group, select: tuple[str, ...]) -> dict[str, Any]:
    return {name: group_query.PROPERTIES[name](group) for name in select}
