"""The bin of a tenant is read whole, page after page, where Graph does not search it.

That it can be searched by all that users are searched by is not documented; that it can be listed
is. Only then is it worth a page for each 999 of those who were deleted in the last 30 days.
https://learn.microsoft.com/graph/api/directory-deleteditems-list
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from worker.directory.reader import Asker, Unread
from worker.errors import TokenRefused
from worker.graph.users import DirectoryUser, build_bin_path, read_bin
from worker.graph.verdicts import READ_DELETED

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services


async def list_deleted(
    services: Services, connection: Connection, guests: Collection[str], more: Sequence[str]
) -> dict[str, DirectoryUser] | None:
    """Return those of some guests, by folded address or id, who were deleted lately; None where
    nobody can tell now.
    """
    try:
        values = await Asker(services, connection).read_all(build_bin_path(more), READ_DELETED)
    except TokenRefused:
        return None
    if isinstance(values, Unread):
        return None
    users = read_bin(values, more)
    return {who: users[who] for who in guests if who in users}
