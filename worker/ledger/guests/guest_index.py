"""The index of guests knows which address of which tenant was invited lately, by which job, or is
being invited right now.

It holds keyed hashes, never an address. `begin_batch` takes a claim for each row that leaves, so of
two jobs that want one guest the first to send has it; `record_batch` drops the claim, and notes
that the guest is invited. A claim outlives its job: whoever deletes one does not make its rows on
the wire unsent.

What it remembers ends after `[ledger].remember`, asked for or not. Until then it has the word where
nobody may look; where the directory can be read that decides (`is_overruled`), or a guest who was
deleted from the tenant could not come back.

An entry is a field of a small hash: 10 bytes of the hash as name, four of time and the job's id as
value: about 30 bytes a guest while the hashes stay small. They lie in generations of 30 days, whose
keys end by themselves. The claims, few at any time, are one hash a tenant: all of a batch are read
and written by one command.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from worker.addresses import fold_address
from worker.errors import SealBroken
from worker.ledger.keys import Keys
from worker.ledger.model import IndexPlace
from worker.ledger.scripts import InLedger
from worker.store.autopipe import pipeline_of

if TYPE_CHECKING:
    from worker.clocks import Clocks
    from worker.ledger.model import KnownRow
    from worker.store.keyring import FindSealer
    from worker.store.seal import Sealer

HASH_BYTES = 12
"""Of a hash: 12 bits choose one of 4,096 small tables, 80 more tell its guests apart."""


_KEY_BYTES = 32
_CONTEXT = b"guest index key"
_LOST = (
    "What usher knows of earlier invitations is sealed with a key that is not in [ledger].key, so nothing is sent and"
    " all rows wait: whoever runs usher puts the key that was used before back into the list; sending goes on by itself"
    " then."
)


class GuestIndex(InLedger):
    """The index hashes by a key of the ledger's own, which survives another `[ledger].key`."""

    def __init__(self, client: Redis, keys: Keys, sealer: FindSealer) -> None:
        super().__init__(client, keys)
        self._sealer = sealer

    async def place(self, tenant_key: str, emails: Mapping[int, str]) -> IndexPlace:
        """Return where some rows (index → address) stand in their tenant's index. Raises
        `SealError` where its key cannot be had.
        """
        k = self._keys
        kept, begun_as, _ = await pipeline_of(self._client).calls(
            ("GET", k.index_key()), ("HGET", k.index_names(), tenant_key), ("SADD", k.index_tenants(), tenant_key)
        )
        key = await self._key_of(kept)
        tenant_key = begun_as.decode() if begun_as else tenant_key
        hashes = {row: hash_guest(key, tenant_key, fold_address(email)) for row, email in emails.items()}
        return IndexPlace(self._keys.index(tenant_key), hashes)

    async def open(self) -> None:
        """Make the index's key where there is none, and seal it anew where another key than the
        first did. Raises `SealError`.
        """
        await self._key_of(await self._client.get(self._keys.index_key()))

    async def check(self) -> bool:
        """Whether there is a key; nothing is changed. Raises `SealError` where it does not open."""
        kept = await self._client.get(self._keys.index_key())
        if kept is not None:
            _open(self._sealer(), kept)
        return kept is not None

    async def _key_of(self, kept: bytes | None) -> bytes:
        sealer, name = self._sealer(), self._keys.index_key()
        if kept is None:  # whoever comes first makes it
            await self._client.set(name, _seal(sealer, secrets.token_bytes(_KEY_BYTES)), nx=True)
            kept = await self._client.get(name) or b""
        key = _open(sealer, kept)
        if sealer is not None and not sealer.is_by_first(kept):
            await self._scripts["replace"](keys=[name], args=[kept, _seal(sealer, key)])
        return key


def _seal(sealer: Sealer | None, key: bytes) -> bytes:
    return sealer.seal(key, _CONTEXT) if sealer is not None else key


def _open(sealer: Sealer | None, kept: bytes) -> bytes:
    if len(kept) == _KEY_BYTES:  # of a ledger that had no key when it was made
        return kept
    if sealer is None:
        raise SealBroken(_LOST)
    try:
        return sealer.open(kept, _CONTEXT)
    except SealBroken:
        raise SealBroken(_LOST) from None


def hash_guest(key: bytes, tenant_key: str, folded: str) -> bytes:
    """Hash one folded address of one tenant. Pure."""
    text = f"{tenant_key}\0{folded}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=HASH_BYTES, key=key).digest()


def is_overruled(row: KnownRow, looked_at_ms: int, settle_s: float, clocks: Clocks) -> bool:
    """Whether a guest whom the directory did not show then is not there, though invited lately:
    deleted since, not merely too new.
    """
    return clocks.age_s((row.at_s + 1) * 1000, looked_at_ms) >= settle_s
