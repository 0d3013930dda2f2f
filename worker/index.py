"""The index of guests: which address of which tenant has been invited lately, by which job, or is being invited right now.

It holds keyed hashes, never an address. `begin_batch` takes a claim for each row that leaves, so of two jobs that want one guest the
first to send has it; `record_batch` drops the claim, and notes that the guest is invited. A claim outlives its job: whoever deletes one
does not make its rows on the wire unsent. Entries live in two generations of 30 days, so
one that is hit again is renewed and one that is not goes away by itself.

An entry is a field of a small hash: 10 bytes of the hash as name, and `i{day}:{job}` as value: about 30 bytes a guest while the hashes stay
small. The claims, few at any time, are one hash a tenant: all of a batch are read and written by one command.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from worker.addresses import fold_address
from worker.keys import Keys
from worker.model import IndexPlace

if TYPE_CHECKING:
    from worker.seal import Sealer

HASH_BYTES = 12
"""Of each address's hash: 12 bits choose one of 4,096 small hashes, 80 more tell two guests of one apart."""
KEEP_DAYS = 30
"""A guest invited within this many days is not mailed again by another job, unless asked. Also the length of a generation."""


class GuestIndex:
    """Hashes addresses for the index. The key is the ledger's own, so it survives a change of `[ledger].key`."""

    def __init__(self, client: Redis, keys: Keys, sealer: Sealer | None) -> None:
        self._client: Any = client
        self._keys = keys
        self._sealer = sealer
        self._key: bytes | None = None
        self._tenants: set[str] = set()  # noted by this process

    async def place(self, tenant_key: str, emails: Mapping[int, str]) -> IndexPlace:
        """Return where some rows (index → address) stand in their tenant's index."""
        if self._key is None:
            self._key = await self._fetch_key()
        if tenant_key not in self._tenants:
            await self._client.sadd(self._keys.index_tenants(), tenant_key)
            self._tenants.add(tenant_key)
        key = self._key
        hashes = {row: hash_guest(key, tenant_key, fold_address(email)) for row, email in emails.items()}
        return IndexPlace(self._keys.index(tenant_key), hashes)

    async def _fetch_key(self) -> bytes:
        """Return the index's key, made by whoever comes first and kept in the ledger, sealed where there is a sealer."""
        name = self._keys.index_key()
        fresh = secrets.token_bytes(32)
        await self._client.set(name, self._sealer.seal(fresh, _CONTEXT) if self._sealer else fresh, nx=True)
        kept = await self._client.get(name)
        if kept is None or self._sealer is None:
            return bytes(kept or fresh)
        return self._sealer.open(kept, _CONTEXT)


_CONTEXT = b"guest index key"


def hash_guest(key: bytes, tenant_key: str, folded: str) -> bytes:
    """Hash one folded address of one tenant. Pure."""
    text = f"{tenant_key}\0{folded}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=HASH_BYTES, key=key).digest()
