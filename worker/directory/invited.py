"""The index of guests is asked when guests were invited lately: for whoever judges them by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.ledger.model import KnownRow
    from worker.services import Services


async def find_invited(services: Services, connection: Connection, emails: Mapping[int, str]) -> dict[int, KnownRow]:
    """Return when guests (address by row) were invited lately, by any job. Raises `SealError`."""
    if not emails:
        return {}
    place = await services.index.place(connection.tenant_key, emails)
    return {known.index: known for known in await services.ledger.find_invited(place, list(emails))}
