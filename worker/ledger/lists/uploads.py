"""A list that somebody sent by the console lies in Redis, compressed and sealed block by block,
until it is submitted or an hour has passed.

So every instance of the console can go on with it, nothing of it is written to a disk, and nothing
stays when nobody comes back. Only who sent it can read it.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from worker.errors import LedgerFull
from worker.ledger.keys import Keys
from worker.ledger.scripts import InLedger
from worker.store.client import REFUSE_AT, read_memory
from worker.store.keyring import FindSealer, no_sealer

KEPT_S = 3600
"""How long somebody may think about a list."""
BLOCK_BYTES = 1 << 20
_IN_MEMORY = 4 << 20  # bytes of a list that is read again, before they go to a file without a name


@dataclass(frozen=True, slots=True)
class Upload:
    """A list as it was sent. `looked`: what was found out about it so far."""

    id: str
    name: str
    size: int
    blocks: int
    looked: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Uploads(InLedger):
    """The lists that lie in one ledger."""

    def __init__(self, client: Redis, keys: Keys, sealer: FindSealer = no_sealer) -> None:
        super().__init__(client, keys)
        self._sealer = sealer

    async def put(self, owner: str, name: str, blocks: AsyncIterator[bytes]) -> Upload:
        """Keep a list for its owner. Raises `LedgerFull`, with nothing of it kept."""
        upload, number, size = secrets.token_hex(16), 0, 0
        try:
            async for block in blocks:
                if (await read_memory(self._client)).is_beyond(REFUSE_AT, len(block)):
                    raise OutOfMemoryError
                key = self._keys.upload_block(upload, number)
                await self._client.set(key, self._seal(zlib.compress(block, 1), key), ex=KEPT_S)
                number, size = number + 1, size + len(block)
            fields = {"owner": _mark(owner), "name": name, "size": size, "blocks": number}
            key = self._keys.upload(upload)
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=fields)
                pipe.expire(key, KEPT_S)
                await pipe.execute()
        except OutOfMemoryError:
            await self._remove(upload, number + 1)
            raise LedgerFull(
                "Redis has no room for this list, so it was not kept and nothing was sent. Whoever runs this Redis"
                " raises its maxmemory, or deletes old jobs."
            ) from None
        except BaseException:
            await self._remove(upload, number + 1)
            raise
        return Upload(upload, name, size, number)

    async def find(self, owner: str, upload: str) -> Upload | None:
        """Return a list of this owner's; None where there is none, or none any more."""
        if not (upload.isalnum() and upload.isascii()):
            return None
        key = self._keys.upload(upload)
        fields = await self._client.hgetall(key)
        if not fields or fields[b"owner"].decode() != _mark(owner):
            return None
        looked = orjson.loads(self._unseal(fields[b"looked"], key)) if b"looked" in fields else {}
        return Upload(upload, fields[b"name"].decode(), int(fields[b"size"]), int(fields[b"blocks"]), looked)

    async def open(self, upload: Upload) -> IO[bytes]:
        """Return a list's bytes as a file without a name. Raises `SealError`, and `LookupError`
        where it has gone meanwhile.
        """
        file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller's
        try:
            for number in range(upload.blocks):
                key = self._keys.upload_block(upload.id, number)
                sealed = await self._client.get(key)
                if sealed is None:
                    raise LookupError(upload.id)
                file.write(zlib.decompress(self._unseal(sealed, key)))
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    async def note(self, upload: str, looked: Mapping[str, Any]) -> None:
        """Write down what was found out about a list, for the hour that it is kept."""
        key = self._keys.upload(upload)
        if await self._client.exists(key):
            await self._client.hset(key, "looked", self._seal(orjson.dumps(dict(looked)), key))

    async def empty(self, upload: Upload) -> None:
        """Remove the bytes of a list that was sent; what was found out stays for its hour."""
        if upload.blocks:
            await self._client.unlink(*(self._keys.upload_block(upload.id, n) for n in range(upload.blocks)))

    async def drop(self, upload: Upload) -> None:
        """Remove a list."""
        await self._remove(upload.id, upload.blocks)

    async def _remove(self, upload: str, blocks: int) -> None:
        await self._client.unlink(
            self._keys.upload(upload), *(self._keys.upload_block(upload, n) for n in range(blocks))
        )

    def _seal(self, block: bytes, key: str) -> bytes:
        sealer = self._sealer()
        return b"s" + sealer.seal(block, key.encode()) if sealer else b"p" + block

    def _unseal(self, kept: bytes, key: str) -> bytes:
        if kept[:1] == b"p":
            return kept[1:]
        sealer = self._sealer()
        if sealer is None:
            raise LookupError(key)
        return sealer.open(kept[1:], key.encode())


def _mark(owner: str) -> str:
    """Return what tells whose a list is, and not who that is."""
    return hashlib.sha256(owner.encode()).hexdigest()
