"""Members of groups are read so that who is one already costs no write; a process keeps what it has
read for some minutes.

A group's members are read page by page and kept; where a group is too large for that, Graph says of
each guest whether they are in it, themselves or through another group.
https://learn.microsoft.com/graph/api/group-list-members
https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.graph.batch import BATCH_LIMIT, GraphAnswer, GraphRequest
from worker.operations.operation import Ask

if TYPE_CHECKING:
    from config.connections import Connection

KEPT_S = 300.0
"""What was read is believed so long within a job. Whoever joins meanwhile costs a write that Graph
answers with "already".
"""
MOST_MEMBERS = 20_000
"""Of one group; 21 pages."""
_MOST_KEPT = 200_000
_PAGE = 999


@dataclass(frozen=True, slots=True)
class Known:
    """Of some guests is known who is a member; of `unknown` nobody can tell."""

    members: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Kept:
    """What one process knows of one group's members."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_s: float = float("-inf")
    ids: frozenset[str] | None = None  # None: not known, or too many
    whole: bool = False  # nobody else is a member


class GroupMembers:
    """The members of groups, job by job, as far as one process has read them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def find(
        self, ask: Ask, connection: Connection, group: str, guests: frozenset[str], *, anew: bool = False
    ) -> Known:
        """Return which of some guests are members of a group. `anew`: whatever was read before.
        Raises `CannotAsk`.
        """
        key = (ask.job, group)
        kept = self._kept.setdefault(key, _Kept())
        async with kept.lock:  # several chunks name the same group at once
            if anew or self._clock() - kept.read_s > KEPT_S:
                kept.ids, kept.whole = await _read_all(ask, connection, group)
                kept.read_s = self._clock()
                self._forget(key)
        if kept.ids is None:
            return await _check(ask, group, guests)
        return Known(guests & kept.ids, frozenset() if kept.whole else guests - kept.ids)

    def _forget(self, newest: tuple[str, str]) -> None:
        """Let go of what was read longest ago."""
        self._kept[newest] = self._kept.pop(newest)
        total = sum(len(kept.ids or ()) + 1 for kept in self._kept.values())
        for key in list(self._kept):
            if total <= _MOST_KEPT or key == newest:
                break
            if not self._kept[key].lock.locked():
                total -= len(self._kept.pop(key).ids or ()) + 1


async def _read_all(ask: Ask, connection: Connection, group: str) -> tuple[frozenset[str] | None, bool]:
    """Return the ids of the members, and whether these are all; None for too many."""
    ids: set[str] = set()
    version = f"/{connection.graph_url.rpartition('/')[2]}/"
    path = f"/groups/{group}/members?$select=id&$top={_PAGE}"
    while True:
        answer = (await ask.get([GraphRequest("1", "GET", path)]))["1"]
        page = answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
        values = page.get("value")
        if not isinstance(values, list):
            return frozenset(ids), False
        ids.update(str(one["id"]).lower() for one in values if isinstance(one, dict) and one.get("id"))
        # Only what stands behind the version: the token goes nowhere but to the connection's Graph
        _, _, rest = str(page.get("@odata.nextLink") or "").partition(version)
        if not rest:
            return frozenset(ids), True
        if len(ids) >= MOST_MEMBERS:
            return None, False
        path = f"/{rest}"


async def _check(ask: Ask, group: str, guests: frozenset[str]) -> Known:
    """Return which guests are in a group, asked for each by itself."""
    found: dict[bool | None, set[str]] = {True: set(), False: set(), None: set()}
    asked = sorted(guests)
    for start in range(0, len(asked), BATCH_LIMIT):
        part = asked[start : start + BATCH_LIMIT]
        requests = [
            GraphRequest(guest, "POST", f"/users/{guest}/checkMemberGroups", {"groupIds": [group]}) for guest in part
        ]
        answers = await ask.get(requests)
        for guest in part:
            found[_is_in(answers[guest], group)].add(guest)
    return Known(frozenset(found[True]), frozenset(found[None]))


def _is_in(answer: GraphAnswer, group: str) -> bool | None:
    """Whether an answer says that its guest is in a group; None: it does not say."""
    values = answer.body.get("value") if answer.status == 200 and isinstance(answer.body, dict) else None
    return group in (str(value).lower() for value in values) if isinstance(values, list) else None
