"""The role guard says who of a tenant must never be touched: whoever holds a directory role, may
take one, or is a member or owner of a group that can be given one.

All of it is read once a job, and again after ten minutes. Where one list cannot be read, nobody can
tell who is in the guard, so nobody may be disabled or deleted. Where the tenant has no Entra ID P2,
nobody is eligible for a role.
https://learn.microsoft.com/graph/api/resources/users#who-can-perform-sensitive-actions
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.graph.batch import BATCH_LIMIT, GraphRequest
from worker.graph.verdicts import text_of

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.operations.operation import Ask

KEPT_S = 600.0
"""A guard is believed for so long: a role that was given meanwhile counts after that."""
_MOST_KEPT = 20
_MOST_PAGES = 1_000  # of one list: more is an answer that leads in a circle
_GROUP = "#microsoft.graph.group"
_NO_GROUP = frozenset({"#microsoft.graph.user", "#microsoft.graph.servicePrincipal", "#microsoft.graph.device"})


@dataclass(frozen=True, slots=True)
class _List:
    """One of the lists that the guard is made of. `key`: what holds an id; `nobody_if`: a refusal
    with this status, and one of these codes, says that nobody is in it.
    """

    what: str  # half a sentence
    path: str
    permission: str
    key: str = "id"
    nobody_if: frozenset[int] = frozenset()
    nobody_codes: frozenset[str] = frozenset()


_ASSIGNMENTS = _List(
    "Who holds a directory role",
    "/roleManagement/directory/roleAssignments?$expand=principal",
    "RoleManagement.Read.Directory",
    "principalId",
)
_ELIGIBILITIES = _List(
    "Who may take a directory role",
    "/roleManagement/directory/roleEligibilityScheduleInstances?$expand=principal",
    "RoleEligibilitySchedule.Read.Directory",
    "principalId",
    nobody_if=frozenset({400, 403}),
    nobody_codes=frozenset({"AadPremiumLicenseRequired"}),  # without Entra ID P2
)
_GROUPS = _List(
    "Which groups can be given a directory role",
    "/groups?$filter=isAssignableToRole%20eq%20true&$select=id&$top=999",
    "GroupMember.Read.All",
)
_PEOPLE = _List(
    "Who is in the groups that can be given a directory role",
    "/groups/{group}/{part}?$select=id&$top=999",
    "GroupMember.Read.All",
    nobody_if=frozenset({404}),
    nobody_codes=frozenset({"Request_ResourceNotFound"}),  # no group, or no more
)
_SPARED = _List("Who is in the groups whose members are spared", "", "GroupMember.Read.All")
NEEDED = tuple(dict.fromkeys(one.permission for one in (_ASSIGNMENTS, _ELIGIBILITIES, _GROUPS)))
"""The application permissions without which the guard cannot be read."""


@dataclass(frozen=True, slots=True)
class RoleGuard:
    """Object ids, in lower case, of all who must never be touched; or why nobody can tell.

    `permission`: the one that is missing, where that is why.
    """

    ids: frozenset[str] = field(default=frozenset(), repr=False)
    unread: str = ""
    permission: str = ""

    def has(self, user_id: str) -> bool:
        """Whether a user must not be touched. Raises `ValueError` where nobody can tell."""
        if self.unread:
            raise ValueError(self.unread)
        return user_id.lower() in self.ids


@dataclass(slots=True)
class _Kept:
    """A guard as it was read last, and the lock of whoever reads it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_s: float = 0.0  # on the loop's clock
    guard: RoleGuard | None = None


class RoleGuards:
    """The guards that a process has read, one a job and tenant."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def find(self, ask: Ask, connection: Connection) -> RoleGuard:
        """Return the guard of a job's tenant: as it was read lately, else read now. One that could
        not be read is not kept. Raises `CannotAsk`.
        """
        kept = self._kept.setdefault((connection.tenant_key, ask.job), _Kept())
        async with kept.lock:
            now_s = asyncio.get_running_loop().time()
            if kept.guard is None or now_s - kept.read_s >= KEPT_S:
                kept.guard = None
                guard = await read_role_guard(ask)
                if guard.unread:
                    return guard
                kept.guard, kept.read_s = guard, now_s
            self._forget_old()
            return kept.guard

    def _forget_old(self) -> None:
        for key in list(self._kept)[:-_MOST_KEPT]:
            if not self._kept[key].lock.locked():
                del self._kept[key]


async def read_role_guard(ask: Ask) -> RoleGuard:
    """Read who of a tenant must never be touched. Raises `CannotAsk`: nobody could be asked now."""
    try:
        return RoleGuard(frozenset(await _read(ask)))
    except _Unread as unread:
        return RoleGuard(unread=str(unread), permission=unread.permission)


async def read_spared(ask: Ask, groups: Collection[str]) -> RoleGuard:
    """Read who is in some groups, and in groups within them. Raises `CannotAsk`."""
    people: set[str] = set()
    seen: set[str] = set()
    left = sorted({group.lower() for group in groups})
    try:
        while left:
            seen.update(left)
            found = await _read_list(ask, _SPARED, [_PEOPLE.path.format(group=group, part="members") for group in left])
            people.update(_id(value, _SPARED) for value in found)
            within = {_id(value, _SPARED) for value in found if value.get("@odata.type") == _GROUP}
            left = sorted(within - seen)
    except _Unread as unread:
        return RoleGuard(unread=str(unread), permission=unread.permission)
    return RoleGuard(frozenset(people))


class _Unread(Exception):
    """A list could not be read; the text is a sentence."""

    def __init__(self, what: _List, answer: GraphAnswer | None = None) -> None:
        status = answer.status if answer else 200
        self.permission = what.permission if status in (401, 403) else ""
        why = (
            f"a tenant administrator must grant the application permission {what.permission} and give admin consent."
            " Just granted, it takes a few minutes."
            if self.permission
            else f"Graph's answer (status {status}) is none that usher understands, and it asks again."
        )
        super().__init__(f"{what.what} cannot be read, so nobody can tell whom to spare and no guest is changed: {why}")


async def _read(ask: Ask) -> set[str]:
    guarded: set[str] = set()
    groups: set[str] = set()
    for roles in (_ASSIGNMENTS, _ELIGIBILITIES):
        for value in await _read_list(ask, roles, [roles.path]):
            principal = value.get("principal")
            kind = text_of(principal.get("@odata.type")) if isinstance(principal, dict) else ""
            guarded.add(_id(value, roles))
            if kind not in _NO_GROUP:
                groups.add(_id(value, roles))
    groups.update(_id(value, _GROUPS) for value in await _read_list(ask, _GROUPS, [_GROUPS.path]))
    seen: set[str] = set()
    while left := sorted(groups - seen):
        seen |= groups
        paths = [_PEOPLE.path.format(group=group, part=part) for group in left for part in ("members", "owners")]
        for value in await _read_list(ask, _PEOPLE, paths):
            guarded.add(_id(value, _PEOPLE))
            if value.get("@odata.type") == _GROUP:
                groups.add(_id(value, _PEOPLE))
    return guarded


async def _read_list(ask: Ask, what: _List, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Return all values of some collections, page after page."""
    values: list[dict[str, Any]] = []
    left = list(paths)
    for _ in range(_MOST_PAGES):
        if not left:
            return values
        part, left = left[:BATCH_LIMIT], left[BATCH_LIMIT:]
        answers = await ask.get([GraphRequest(str(number), "GET", path) for number, path in enumerate(part)])
        for answer in answers.values():
            page, following = _read_page(answer, what)
            values += page
            left += [following] if following else []
    raise _Unread(what)


def _read_page(answer: GraphAnswer, what: _List) -> tuple[list[dict[str, Any]], str]:
    """Return a page's values, and the path of the next one. Raises `_Unread`."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status in what.nobody_if and _tell_code(body) in what.nobody_codes:
        return [], ""
    values, following = body.get("value"), body.get("@odata.nextLink")
    if answer.status != 200 or not isinstance(values, list):
        raise _Unread(what, answer)
    if not all(isinstance(value, dict) and _id(value, what) for value in values):
        raise _Unread(what, answer)
    if following is None:
        return values, ""
    # Only what stands behind the version: the token goes nowhere but to the connection's own Graph
    _, found, rest = text_of(following).partition("/v1.0/")
    if not found:
        raise _Unread(what, answer)
    return values, f"/{rest}"


def _tell_code(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    return text_of(error.get("code")) if isinstance(error, dict) else ""


def _id(value: Mapping[str, Any], what: _List) -> str:
    return text_of(value.get(what.key)).lower()
