"""Id tokens, and access tokens for the console, are signed with keys whose public half everybody
may read: RS256, as Entra's are, and rolled when a test says so.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from sandbox.ids import write_base64url


class SigningKeys:
    """The keys of one sandbox; the first is made when somebody first asks."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPrivateKey] = {}

    def roll(self, *, keep_old: bool) -> str:
        """Sign with a new key from now on; old ones are shown only if kept. Returns its id."""
        if not keep_old:
            self._keys.clear()
        name = secrets.token_urlsafe(20)
        self._keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return name

    def published(self) -> dict[str, Any]:
        """Return the key set (JWKS) that is shown to everybody."""
        self._current()
        return {"keys": [self._show(name, key) for name, key in self._keys.items()]}

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """Return a token with these claims."""
        name = self._current()
        return jwt.encode(dict(claims), self._keys[name], "RS256", {"kid": name, **(header or {})})

    def forge(self, claims: Mapping[str, Any], how: str) -> str:
        """Return a token that nobody should believe: `none`, without a signature; `hs256`, signed
        with the text of the public key; `stranger`, signed by somebody else under our key's name.
        """
        name = self._current()
        if how == "none":
            return jwt.encode(dict(claims), "", "none", {"kid": name})
        if how == "stranger":
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            return jwt.encode(dict(claims), key, "RS256", {"kid": name})
        if how == "hs256":
            head = write_base64url(orjson.dumps({"alg": "HS256", "kid": name, "typ": "JWT"}))
            signed = f"{head}.{write_base64url(orjson.dumps(dict(claims)))}"
            public = self._keys[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return f"{signed}.{write_base64url(hmac.digest(public, signed.encode(), 'sha256'))}"
        raise ValueError("'forge' is none, hs256 or stranger.")

    def _current(self) -> str:
        return next(reversed(self._keys)) if self._keys else self.roll(keep_old=False)

    @staticmethod
    def _show(name: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
        public: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {"kty": "RSA", "use": "sig", "kid": name, "n": public["n"], "e": public["e"]}
