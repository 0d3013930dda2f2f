"""A tenant is asked when the secrets and certificates of its applications end: page after page,
within the quota. Nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.directory.reader import Asker, Unread
from worker.errors import DirectoryUnread
from worker.graph.applications import LIST_APPLICATIONS, READ_APPLICATIONS, Credential, read_credentials

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services


async def fetch_credentials(services: Services, connection: Connection) -> list[Credential]:
    """Return the secrets and certificates of all applications, the first to end first. Raises
    `DirectoryUnread` and `TokenRefused`.
    """
    values = await Asker(services, connection).read_all(LIST_APPLICATIONS, READ_APPLICATIONS)
    if isinstance(values, Unread):
        permission = READ_APPLICATIONS.permission
        if values.may_not:
            raise DirectoryUnread(
                f"The application of {connection.name} may not read the tenant's applications: grant the application"
                f" permission {permission} and give admin consent.",
                missing=permission,
            )
        raise DirectoryUnread(
            f"The applications of {connection.name} could not be read ({values.said}): Graph gave no answer that can be"
            " used. Nothing was changed; try again later."
        )
    found = [credential for value in values for credential in read_credentials(value)]
    return sorted(found, key=lambda one: (one.ends_at, one.application, one.key_id))
