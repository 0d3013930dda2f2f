"""Guests whose address usher is changing are remembered, per tenant, until they were reset: by
object id, and since when.

The new address is written first and the guest reset afterwards, by another request. Where all that
knew of it is killed between the two, whoever gives the list again finds the address written, and
tells by this note that the reset is still to come. Nobody is reset for an address of long ago.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from worker.ledger.scripts import InLedger

KEPT_S = 90 * 86_400
"""After so long without any move in a tenant its notes are forgotten."""


class Moving(InLedger):
    """The memory of moves under way, of all tenants."""

    async def note(self, tenant_key: str, ids: Collection[str], now: datetime) -> None:
        """Note that guests' addresses are about to change."""
        if not ids:
            return
        at_ms = str(round(now.timestamp() * 1000))
        async with self._client.pipeline(transaction=True) as both:
            both.hset(self._keys.moving(tenant_key), mapping=dict.fromkeys(ids, at_ms))
            both.expire(self._keys.moving(tenant_key), KEPT_S)
            await both.execute()

    async def read(self, tenant_key: str, ids: Collection[str]) -> dict[str, datetime]:
        """Return since when some guests are on the move; without the others."""
        if not ids:
            return {}
        notes = await self._client.hmget(self._keys.moving(tenant_key), list(ids))
        return {
            id_: datetime.fromtimestamp(int(note) / 1000, UTC)
            for id_, note in zip(ids, notes, strict=True)
            if note is not None
        }

    async def drop(self, tenant_key: str, ids: Collection[str]) -> None:
        """Forget guests who were reset, or whose address was refused."""
        if ids:
            await self._client.hdel(self._keys.moving(tenant_key), *ids)
