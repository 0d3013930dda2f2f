"""The query options of the group requests, in the shapes that usher sends; all else is refused.

    filter  = clause *( " or " clause )
    clause  = property " eq " text / property " in (" text *( "," text ) ")"
            / "isAssignableToRole eq true"

with the properties of `_FILTERED`. https://learn.microsoft.com/graph/api/group-list
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.errors import bad_request
from sandbox.groups import Group
from sandbox.odata import TEXT, QueryError, parse_select, read_clauses, read_options, read_page, read_top

PROPERTIES: dict[str, Callable[[Group], Any]] = {
    "id": lambda group: group.id,
    "displayName": lambda group: group.display_name,
    "mail": lambda group: group.mail,
    "mailNickname": lambda group: group.mail_nickname,
    "groupTypes": lambda group: list(group.shape.types),
    "mailEnabled": lambda group: group.shape.mail_enabled,
    "securityEnabled": lambda group: group.shape.security_enabled,
    "onPremisesSyncEnabled": lambda group: group.shape.synced,
    "isAssignableToRole": lambda group: group.shape.role_assignable,
    "resourceProvisioningOptions": lambda group: ["Team"] if group.team else [],
    "membershipRule": lambda group: '(user.userType -eq "Guest")' if group.kind == "dynamic" else None,
    "createdDateTime": lambda group: group.created_at,
}
"""What can be selected of a group; all of it without `$select`."""
_FILTERED = ("id", "displayName", "mail", "mailNickname")
_FLAG = "isAssignableToRole"
_NAME = f"(?P<name>{'|'.join(_FILTERED)})"
_CLAUSE = re.compile(rf"{_NAME} (?:eq (?P<text>{TEXT})|in \((?P<texts>{TEXT}(?:,{TEXT})*)\))|(?P<flag>{_FLAG} eq true)")


@dataclass(frozen=True, slots=True)
class GroupsQuery:
    """The query options of GET /groups. `wanted`: property and text, one is enough; None: all."""

    wanted: frozenset[tuple[str, str]] | None
    select: tuple[str, ...]
    has_select: bool
    top: int
    skip: int

    def matches(self, group: Group) -> bool:
        """Whether a group is asked for; text is compared without case."""
        if self.wanted is None:
            return True
        return any((name, str(PROPERTIES[name](group) or "").lower()) in self.wanted for name in (*_FILTERED, _FLAG))


def parse_groups_query(query: str) -> GroupsQuery:
    """Read the query string of GET /groups. Raises `GraphError`."""
    try:
        options = read_options(query, {"$filter", "$select", "$top", "$skiptoken"})
        return GroupsQuery(
            wanted=_parse_filter(options["$filter"]) if "$filter" in options else None,
            select=_parse_select(options.get("$select")),
            has_select="$select" in options,
            top=read_top(options),
            skip=read_page(options.get("$skiptoken")),
        )
    except QueryError as error:
        raise bad_request(str(error), error.code) from None


def parse_group_select(query: str) -> tuple[tuple[str, ...], bool]:
    """Read the query string of GET /groups/{id}: the selected properties, and if there was a
    `$select`. Raises `GraphError`.
    """
    try:
        options = read_options(query, {"$select"})
        return _parse_select(options.get("$select")), "$select" in options
    except QueryError as error:
        raise bad_request(str(error), error.code) from None


def _parse_select(text: str | None) -> tuple[str, ...]:
    return parse_select(text, PROPERTIES, tuple(PROPERTIES), "group")


def _parse_filter(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(
        (_FLAG, "true") if clause["flag"] else (clause["name"], one)
        for clause, texts in read_clauses(text, _CLAUSE)
        for one in texts or [""]
    )
