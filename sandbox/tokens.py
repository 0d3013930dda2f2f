"""Access tokens: minted for the token endpoint, verified on every Graph call.

They look like Entra's (a JWT with `tid`, `appid`, `roles`, `exp`) but are signed with a key that
only this sandbox has: callers must not verify a Graph token, and cannot. A token that verified once
is remembered, so that a call costs one dictionary look-up.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

import orjson

from sandbox.certificates import write_private
from sandbox.clock import Clock
from sandbox.directory import App, Directory, Tenant
from sandbox.ids import format_guid, write_base64url

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified token speaks for, and until when (Unix seconds)."""

    tenant: Tenant
    app: App
    roles: frozenset[str]
    expires_s: float
    token_id: str


class TokenError(Exception):
    """A token that is refused; the text is Graph's message for `InvalidAuthenticationToken`."""


class Tokens:
    """Mints and verifies the tokens of one sandbox. `issued` counts tokens by tenant id."""

    def __init__(self, directory: Directory, clock: Clock, life_s: float, key: bytes) -> None:
        self.life_s = life_s
        self.issued: dict[str, int] = {}
        self._directory = directory
        self._clock = clock
        self._key = key
        self._callers: dict[str, Caller] = {}
        self._revoked: set[str] = set()

    def mint(self, tenant: Tenant, app: App, audience: str, *, certificate: bool) -> tuple[str, int]:
        """Return a new access token and its `expires_in` in whole seconds."""
        now_s = self._clock.sign_in_s()
        life_s = max(1, int(self.life_s))
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            "iat": int(now_s),
            "nbf": int(now_s),
            "exp": int(now_s) + life_s,
            "app_displayname": "usher rehearsal",
            "appid": app.client_id,
            "appidacr": "2" if certificate else "1",
            "idtyp": "app",
            "roles": sorted(app.roles),
            "tid": tenant.id,
            "uti": secrets.token_urlsafe(12),
            "ver": "1.0",
        }
        signed = f"{write_base64url(orjson.dumps(_HEADER))}.{write_base64url(orjson.dumps(claims))}"
        self.issued[tenant.id] = self.issued.get(tenant.id, 0) + 1
        return f"{signed}.{self._sign(signed)}", life_s

    def verify(self, authorization: str | None) -> Caller:
        """Return the caller of an `Authorization` header. Raises `TokenError` for every reason
        Graph answers 401.
        """
        if not authorization or not authorization[:7].lower() == "bearer ":
            raise TokenError("Access token is empty.")
        token = authorization[7:].strip()
        caller = self._callers.get(token)
        if caller is None:
            caller = self._read(token)
            if len(self._callers) >= _REMEMBERED:
                self._callers.clear()
            self._callers[token] = caller
        if caller.expires_s <= self._clock.sign_in_s():
            raise TokenError("Lifetime validation failed, the token is expired.")
        if caller.token_id in self._revoked:
            raise TokenError(
                "Continuous access evaluation resulted in challenge with result: InteractionRequired "
                "and code: TokenIssuedBeforeRevocationTimestamp"
            )
        return caller

    def revoke(self, caller: Caller) -> None:
        """Refuse one token from now on."""
        self._revoked.add(caller.token_id)

    def forget(self) -> None:
        """Look tokens up anew: the directory they point into was replaced. They stay good."""
        self._callers.clear()
        self._revoked.clear()
        self.issued.clear()

    def revoke_all(self) -> None:
        """Refuse every token minted so far: a new signing key."""
        self._key = secrets.token_bytes(32)
        self._callers = {}

    def _read(self, token: str) -> Caller:
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            raise TokenError("Access token validation failure. Invalid signature.")
        try:
            claims = orjson.loads(_decode(signed.partition(".")[2]))
        except (ValueError, Base64Error):
            raise TokenError("CompactToken parsing failed with error code: 80049217") from None
        tenant = self._directory.tenants.get(claims["tid"])
        app = tenant.apps.get(claims["appid"]) if tenant else None
        if tenant is None or app is None or not app.enabled:
            raise TokenError("Access token validation failure. Invalid tenant or application.")
        return Caller(tenant, app, frozenset(claims["roles"]), float(claims["exp"]), claims["uti"])

    def _sign(self, signed: str) -> str:
        return write_base64url(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def load_key(folder: Path) -> bytes:
    """Return the signing key of a state folder, made on first use: callers stay signed in."""
    path = folder / "token.key"
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    return path.read_bytes()


def random_guid() -> str:
    """Return a random GUID, for ids nobody needs to predict."""
    return format_guid(secrets.token_hex(16))


_HEADER = {"typ": "JWT", "alg": "HS256", "kid": "usher-sandbox"}


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
