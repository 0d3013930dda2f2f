"""A session says who has signed in. It lies in Redis, sealed, under the hash of an id that only the
browser's cookie has; so any instance serves it, and what lies in Redis opens nothing.

It ends when nobody uses it for a while, at the latest some hours after the sign-in, or when its
person signs out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from console.access.viewer import Kind, Role, Viewer
from worker.errors import SealError
from worker.ledger.approval import Person

if TYPE_CHECKING:
    from config.console import ConsoleSection
    from worker.services import Services

FLOW_S: Final = 600
"""How long somebody may take to sign in."""
_ID: Final = range(40, 65)  # characters; `token_urlsafe(32)` has 43


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that has begun: what MSAL wants back, and where the person wanted to go."""

    msal: dict[str, Any]
    to: str


class Sessions:
    """The sessions of one ledger, and the sign-ins that have begun."""

    def __init__(self, services: Services) -> None:
        self._client: Any = services.client
        self._keys = services.keys
        self._sealer = services.sealer

    async def begin(self, viewer: Viewer, console: ConsoleSection) -> str:
        """Begin a session; returns its id, for the cookie."""
        name = secrets.token_urlsafe(32)
        told = {
            "person": asdict(viewer.person),
            "role": viewer.role.word,
            "client_id": console.client_id,
            "ends_s": time.time() + console.session_s,
        }
        await self._put("session", name, told, min(console.idle_s, console.session_s))
        return name

    async def find(self, name: str, console: ConsoleSection, *, use: bool = True) -> Viewer | None:
        """Return who has signed in, None where the session has ended, and use it: it goes on. `use`
        False: it ends when it would have.
        """
        told = await self._get("session", name)
        if told is None:
            return None
        person = Person(**told["person"])
        left_s = min(console.idle_s, told["ends_s"] - time.time())
        # Who may come is asked anew: a tenant may have been taken out, the application replaced
        if left_s <= 0 or told["client_id"] != console.client_id or person.host not in console.tenants:
            await self.end(name)
            return None
        if use:
            await self._client.pexpire(self._key("session", name), max(1, round(left_s * 1000)))
        role = Role.highest([told["role"]])
        return Viewer(Kind.PERSON, role, person) if role is not None else None

    async def end(self, name: str) -> None:
        """End a session."""
        await self._client.delete(self._key("session", name))

    async def keep_flow(self, flow: Flow) -> str:
        """Keep a sign-in that has begun; returns its id, for a cookie."""
        name = secrets.token_urlsafe(32)
        await self._put("flow", name, asdict(flow), FLOW_S)
        return name

    async def take_flow(self, name: str) -> Flow | None:
        """Return a sign-in that has begun, once."""
        told = await self._get("flow", name, remove=True)
        return Flow(**told) if told else None

    async def _put(self, part: str, name: str, told: dict[str, Any], for_s: float) -> None:
        key, plain = self._key(part, name), orjson.dumps(told)
        sealer = self._sealer()
        blob = sealer.seal(plain, key.encode()) if sealer is not None else plain
        await self._client.set(key, blob, px=max(1, round(for_s * 1000)))

    async def _get(self, part: str, name: str, *, remove: bool = False) -> dict[str, Any] | None:
        if len(name) not in _ID:
            return None
        key = self._key(part, name)
        blob = await (self._client.getdel(key) if remove else self._client.get(key))
        if not blob:
            return None
        sealer = self._sealer()
        try:
            told = orjson.loads(sealer.open(blob, key.encode()) if sealer is not None else blob)
        except (SealError, ValueError):  # sealed with a key that is gone
            return None
        return told if isinstance(told, dict) else None

    def _key(self, part: str, name: str) -> str:
        return self._keys.console(f"{part}:{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}")
