"""Whoever can see when a credential ends notes it in the ledger, so that `usher metrics` can tell
without a secret.

A worker sees its certificates. When a client secret ends only Entra knows (`usher connections
check` asks it where the app may).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.errors import TokenRefused
from worker.signin.kinds.certificate import certificate_ends_at

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.ledger.keys import Keys
    from worker.services import Services

_PAGE = 500


async def note_end(client: Redis, keys: Keys, connection: str, ends_at: datetime) -> None:
    """Note when a connection's credential ends. redis-py's errors pass."""
    ledger: Any = client  # redis-py types a reply as perhaps no coroutine
    await ledger.hset(keys.connection(connection), "credential_ends", round(ends_at.timestamp() * 1000))


async def note_certificates(services: Services) -> None:
    """Note the end of each certificate that this process can read, a page of connections a round
    trip: nothing is offered meanwhile. redis-py's errors pass.
    """
    ends: dict[str, datetime | None] = {}  # one certificate may open a thousand tenants
    of_names: list[tuple[str, datetime]] = []
    for connection in services.settings().connections.values():
        if connection.certificate is None:
            continue
        place = f"{connection.certificate.kind}:{connection.certificate.target}"
        if place not in ends:
            try:
                ends[place] = await asyncio.to_thread(certificate_ends_at, connection)
            except TokenRefused:
                ends[place] = None  # said, with what to do, by whoever signs in
        if (ends_at := ends[place]) is not None:
            of_names.append((connection.name, ends_at))
    for start in range(0, len(of_names), _PAGE):
        async with services.client.pipeline(transaction=False) as pipe:
            for name, ends_at in of_names[start : start + _PAGE]:
                await note_end(pipe, services.keys, name, ends_at)
            await pipe.execute()
