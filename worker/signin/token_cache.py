"""Processes leave access tokens for each other on a shelf in Redis, sealed: N of them ask Entra
once.

A convenience, never a condition: whatever goes wrong here, a process signs in itself. A token is
bound to the key it lies under, and one that was bought with a credential that is no longer
configured is not taken. Without a ledger key there is no shelf.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from redis.exceptions import RedisError, WatchError

from worker.errors import SealError
from worker.ledger.keys import Keys
from worker.signin.credentials import AccessToken, make_token
from worker.store.keyring import FindSealer, find_or_none

if TYPE_CHECKING:
    from redis.asyncio import Redis

LOCK_MS = 15_000
"""How long others wait for the one who asks: three tries within 3 s, the last of which may take 10
s. Longer, and a killed process would keep the rest waiting; shorter, and two ask.
"""

PATIENCE_S = 2.0
"""For one command. A sign-in is quicker than a Redis that takes longer."""

UNLOCKED = ""
"""What `lock` returns when Redis cannot be asked: go on without."""


class TokenShelf:
    """Tokens under `Keys.token(client_key)`, at most one process at a time asking under
    `Keys.token_lock(client_key)`."""

    def __init__(self, client: Redis, keys: Keys, sealer: FindSealer) -> None:
        """`client` may decode answers or not: what is stored is text."""
        self._client = client
        self._sealer = sealer
        self._keys = keys

    async def read(self, client_key: str) -> AccessToken | None:
        """Return the token on the shelf; None where none is to be had, for whatever reason."""
        key = self._keys.token(client_key)
        try:
            stored = await _soon(self._client.get(key))
            return None if stored is None else self._unpack(key, stored)
        except (RedisError, OSError, TimeoutError, SealError):
            return None

    async def put(self, client_key: str, token: AccessToken) -> None:
        """Leave a token for others until it ends."""
        sealer, key = find_or_none(self._sealer), self._keys.token(client_key)
        if sealer is None:
            return
        life_s = token.expires_at.timestamp() - token.issued_at.timestamp()
        plain = json.dumps(
            {
                "token": token.secret.reveal(),
                "issued_at": token.issued_at.timestamp(),
                "expires_at": token.expires_at.timestamp(),
                "fingerprint": token.fingerprint,
            }
        )
        sealed = base64.b64encode(sealer.seal(plain.encode(), key.encode())).decode("ascii")
        try:
            await _soon(self._client.set(key, sealed, px=max(1, int(life_s * 1000))))
        except (RedisError, OSError, TimeoutError):
            return  # the next process asks for itself

    async def discard(self, client_key: str, token: AccessToken) -> None:
        """Take `token` off the shelf, unless another has taken its place."""
        key = self._keys.token(client_key)
        try:
            stored = await _soon(self._client.get(key))
            if stored is None:
                return
            try:
                lying = self._unpack(key, stored)
            except SealError:
                return
            if lying is not None and lying.secret == token.secret:
                await self._delete_if(key, stored)
        except (RedisError, OSError, TimeoutError):
            return

    async def lock(self, client_key: str) -> str | None:
        """Return a mark when this process is to ask, None when another is asking, `UNLOCKED` when
        Redis is in trouble, or there is no key to leave a token sealed with.
        """
        if find_or_none(self._sealer) is None:
            return UNLOCKED
        mark = secrets.token_hex(8)
        try:
            taken = await _soon(self._client.set(self._keys.token_lock(client_key), mark, nx=True, px=LOCK_MS))
        except (RedisError, OSError, TimeoutError):
            return UNLOCKED
        return mark if taken else None

    async def unlock(self, client_key: str, mark: str) -> None:
        """Let others ask; a lock that has passed on meanwhile is left alone."""
        if mark == UNLOCKED:
            return
        try:
            await self._delete_if(self._keys.token_lock(client_key), mark)
        except (RedisError, OSError, TimeoutError):
            return  # it runs out by itself

    async def _delete_if(self, key: str, value: str | bytes) -> None:
        """Delete `key` while it holds `value`, in two round trips: it happens once an hour."""
        async with asyncio.timeout(PATIENCE_S), self._client.pipeline() as pipe:
            await pipe.watch(key)
            found = await pipe.get(key)
            if found is None or _as_text(found) != _as_text(value):
                return
            pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it unannotated
            pipe.delete(key)
            try:
                await pipe.execute()
            except WatchError:
                return  # somebody replaced it in between: it is no longer ours

    def _unpack(self, key: str, stored: str | bytes) -> AccessToken | None:
        sealer = self._sealer()
        if sealer is None:
            return None
        try:
            sealed = base64.b64decode(stored, validate=True)
            found = json.loads(sealer.open(sealed, key.encode()))
            issued_s = float(found["issued_at"])
            return make_token(
                str(found["token"]),
                issued_s=issued_s,
                life_s=float(found["expires_at"]) - issued_s,
                fingerprint=str(found["fingerprint"]),
            )
        except (binascii.Error, ValueError, KeyError, TypeError):
            return None


async def _soon(command: object) -> str | bytes | None:
    async with asyncio.timeout(PATIENCE_S):
        return await cast("Awaitable[str | bytes | None]", command)


def _as_text(value: str | bytes) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
