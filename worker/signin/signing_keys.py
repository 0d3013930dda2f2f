"""Entra signs its tokens with keys that it publishes and rolls: they are fetched when needed, kept
for an hour, and looked for again when a token names one that nobody knows yet.

https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt

from worker.errors import TokenUnavailable, WayOutUnusable
from worker.net import tls

if TYPE_CHECKING:
    from config.console import ConsoleSection

log = logging.getLogger(__name__)

REFRESH_S: Final = 3600.0
"""A key that Entra has taken back opens nothing after this."""
AGAIN_S: Final = 60.0
"""Tokens that name keys which do not exist make us ask this often at most."""
_STALE_S: Final = 24 * 3600.0  # for so long the known keys do where Entra cannot be asked
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20


@dataclass(slots=True)
class _Kept:
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_s: float = -_STALE_S
    tried_s: float = -AGAIN_S
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SigningKeys:
    """The keys of the tenants whose people and programs may come."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def find(self, console: ConsoleSection, tenant: str, name: str) -> jwt.PyJWK | None:
        """Return the key of that name (`kid`), None where the tenant has none. `tenant` is one that
        may come. Raises `TokenUnavailable` where nobody can tell.
        """
        kept = self._kept.setdefault((console.login_url, tenant), _Kept())
        async with kept.lock:
            now_s = self._clock()
            is_due = now_s - kept.fetched_s >= REFRESH_S or name not in kept.keys
            if is_due and now_s - kept.tried_s >= AGAIN_S:
                kept.tried_s = now_s
                await self._refresh(kept, console, tenant)
        if self._clock() - kept.fetched_s >= _STALE_S:
            raise TokenUnavailable(
                "Entra's signing keys cannot be fetched: whoever runs usher checks network and proxy."
            )
        return kept.keys.get(name)

    async def _refresh(self, kept: _Kept, console: ConsoleSection, tenant: str) -> None:
        try:
            kept.keys = await asyncio.to_thread(
                _fetch, f"{console.login_url}/{tenant}/discovery/v2.0/keys", console.ca_file
            )
            kept.fetched_s = self._clock()
        except (OSError, ValueError, WayOutUnusable) as error:
            log.warning(
                "Entra's signing keys could not be fetched (%s); those that are known still do", type(error).__name__
            )


def _fetch(url: str, ca_file: str | None) -> dict[str, jwt.PyJWK]:
    with tls.open_session(ca_file, timeout_s=_TIMEOUT_S) as session, session.get(url, stream=True) as response:
        if response.status_code != 200:
            raise ValueError
        text = response.raw.read(_MOST_BYTES, decode_content=True)
    listed: Any = json.loads(text)["keys"]
    usable = [one for one in listed if one.get("kty") == "RSA" and one.get("use", "sig") == "sig" and one.get("kid")]
    # The algorithm is ours to say: a key that said HS256 would be taken for a secret
    return {one["kid"]: jwt.PyJWK({"kty": "RSA", "n": one["n"], "e": one["e"]}, "RS256") for one in usable}
