"""All guests of a tenant are counted in one pass, whoever shows the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from tasks.guests.funnel import By, Funnel
from worker.directory.guests import GuestReader

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.guests import Guest
    from worker.services import Services


async def count_guests(
    services: Services, connection: Connection, by: By, heard: Callable[[int, int | None], None] = lambda n, of: None
) -> Funnel:
    """Count a tenant's guests. `heard` is told how many were read, and of how many.

    Raises `DirectoryUnread` and `TokenRefused`.
    """
    counted = Funnel(by)
    async with aclosing(GuestReader(services, connection).pages()) as pages:
        async for page in pages:
            if page.begins:
                counted.begin()
            jobs = await _jobs(services, connection, page.guests) if by is By.JOB else {}
            for i, guest in enumerate(page.guests):
                counted.add(guest, jobs.get(i, ""))
            heard(counted.total.guests, page.total)
    return counted


async def _jobs(services: Services, connection: Connection, guests: Sequence[Guest]) -> Mapping[int, str]:
    """Return by whom some guests were invited, as far as usher remembers."""
    addresses = {i: guest.email for i, guest in enumerate(guests) if guest.email}
    place = await services.index.place(connection.tenant_key, addresses)
    return {row.index: row.job for row in await services.ledger.find_invited(place, list(addresses))}
