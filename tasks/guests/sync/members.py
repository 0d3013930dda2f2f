"""The members of what a list manages are read whole, page by page: in no other way is it found out
who is in a group that their row does not name any more.

https://learn.microsoft.com/graph/api/group-list-members
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.directory.reader import Asker, Unread
from worker.errors import DirectoryUnread
from worker.graph.verdicts import READ_GROUPS

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.guests.sync.store import SyncStore
    from worker.services import Services

_A_PAGE = 999


async def read_members(services: Services, connection: Connection, store: SyncStore, target: str, name: str) -> None:
    """Put the ids of a group's or team's members into the store. Raises `DirectoryUnread` and
    `TokenRefused`.
    """
    asker = Asker(services, connection)
    path = f"/groups/{target}/members?$select=id&$top={_A_PAGE}"
    while path:
        body = await asker.read(path, READ_GROUPS)
        following = body if isinstance(body, Unread) else asker.following(body)
        if isinstance(body, Unread) or isinstance(following, Unread):
            raise DirectoryUnread(_explain(connection, name, following))
        values = body.get("value")
        store.put_members(target, [str(one["id"]) for one in values or () if isinstance(one, dict) and one.get("id")])
        path = following


def _explain(connection: Connection, name: str, unread: Unread | str) -> str:
    what = f"Who is in “{name}” cannot be read on {connection.name}, so nothing was compared or changed:"
    if isinstance(unread, Unread) and unread.may_not:
        return f"{what} grant the application permission GroupMember.Read.All and give admin consent."
    said = f" ({unread.said})" if isinstance(unread, Unread) and unread.said else ""
    return f"{what} Graph gave no answer that can be used{said}; try again later."
