"""Whoever can see when a credential ends notes it in the ledger, so that `usher metrics` can tell
without a secret.

A worker sees its certificates. When a client secret ends only Entra knows (`usher connections
check` asks it where the app may).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.errors import TokenRefused
from worker.signin.kinds.certificate import certificate_ends_at

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.ledger.keys import Keys
    from worker.services import Services

_FIELD = "credential_ends"
_PAGE = 500


async def note_end(client: Redis, keys: Keys, connection: str, ends_at: datetime) -> None:
    """Note when a connection's credential ends. redis-py's errors pass."""
    ledger: Any = client  # redis-py types a reply as perhaps no coroutine
    await ledger.hset(keys.connection(connection), _FIELD, round(ends_at.timestamp() * 1000))


async def drop_end(client: Redis, keys: Keys, connection: str) -> None:
    """Forget when a connection's credential ended: it signs in with none that ends. redis-py's
    errors pass.
    """
    ledger: Any = client
    await ledger.hdel(keys.connection(connection), _FIELD)


async def read_ends(client: Redis, keys: Keys, names: Sequence[str]) -> dict[str, datetime]:
    """Return when the credentials of connections end, of those of whom that was noted. redis-py's
    errors pass.
    """
    ends: dict[str, datetime] = {}
    for start in range(0, len(names), _PAGE):
        page = names[start : start + _PAGE]
        async with client.pipeline(transaction=False) as pipe:
            for name in page:
                pipe.hget(keys.connection(name), _FIELD)
            found = zip(page, await pipe.execute(), strict=True)
        ends |= {name: datetime.fromtimestamp(int(at_ms) / 1000, UTC) for name, at_ms in found if at_ms}
    return ends


async def note_certificates(services: Services) -> None:
    """Note the end of each certificate that this process can read, and of no connection that keeps
    neither secret nor certificate (any more). A page of connections is a round trip: nothing is
    offered meanwhile. redis-py's errors pass.
    """
    connections = services.settings().connections.values()
    secretless = [connection.name for connection in connections if not connection.keeps_what_ends]
    for name in await read_ends(services.client, services.keys, secretless):
        await drop_end(services.client, services.keys, name)
    ends: dict[str, datetime | None] = {}  # one certificate may open a thousand tenants
    of_names: list[tuple[str, datetime]] = []
    for connection in connections:
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
