"""Values in the ledger are sealed so that only usher can read them: AES-256-GCM under a list of
keys that rolls over.

The first key of `[ledger].key` seals, all of them open, so a key is replaced by putting the new one
in front and dropping the old one when nothing is sealed with it any more. A sealed value is bound
to its context (the Redis key it stands under): moved elsewhere it does not open.

    layout   version (1 byte, 0x01) · key id (4) · nonce (12) · ciphertext with tag (16)
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.secrets import Secret
from worker.errors import KeyUnusable, SealBroken

_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = (
    12  # random: at 2**32 values a key, far beyond a ledger's life, a repeat stays below 2**-32 (NIST SP 800-38D)
)
_HEAD_BYTES = 1 + _ID_BYTES + _NONCE_BYTES
SHORTEST_KEY = 16
"""Characters of a key that is a passphrase. Below, guessing is cheaper than the lock."""


class Sealer:
    """Seals and opens values with the ledger's keys."""

    __slots__ = ("_ciphers", "_first", "_first_id")

    def __init__(self, keys: Sequence[Secret | str]) -> None:
        """Take the key texts in order: 32 bytes as base64 or hex, or any text of 16 characters or
        more.

        Raises `KeyUnusable` for a short one or an empty list.
        """
        if not keys:
            raise KeyUnusable("There is no ledger key: set [ledger].key.")
        materials = [_read_key(key.reveal() if isinstance(key, Secret) else key) for key in keys]
        self._first = materials[0]
        self._first_id = _key_id(materials[0])
        # Reversed, so that of two equal ids (the same key twice) the first stays.
        self._ciphers = {_key_id(m): AESGCM(_derive(m, b"usher/seal")) for m in reversed(materials)}

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return `plain` sealed for `context`; 33 bytes longer."""
        nonce = os.urandom(_NONCE_BYTES)
        head = _VERSION + self._first_id + nonce
        return head + self._ciphers[self._first_id].encrypt(nonce, plain, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed for `context`.

        Raises `SealBroken` when no configured key fits, or when the value or its place was changed.
        """
        if len(sealed) < _HEAD_BYTES + 16 or sealed[:1] != _VERSION:
            raise SealBroken("A value in the ledger is no sealed one, or was sealed by a newer usher.")
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        cipher = self._ciphers.get(head[1 : 1 + _ID_BYTES])
        if cipher is None:
            raise SealBroken(
                "A value in the ledger was sealed with a key that is not in [ledger].key: add that key to the list."
            )
        try:
            return cipher.decrypt(head[-_NONCE_BYTES:], rest, head + context)
        except InvalidTag:
            raise SealBroken("A sealed value in the ledger was changed or moved since it was written.") from None

    def is_by_first(self, sealed: bytes) -> bool:
        """Whether the first key sealed a value: another one may leave the list one day."""
        return sealed[:1] == _VERSION and sealed[1 : 1 + _ID_BYTES] == self._first_id

    def __repr__(self) -> str:
        return f"Sealer({len(self._ciphers)} keys)"


def _read_key(text: str) -> bytes:
    """Return 32 bytes of key material for a key text; the same text always gives the same ones."""
    stripped = text.strip()
    if len(stripped) == 64:
        try:
            return bytes.fromhex(stripped)
        except ValueError:
            pass
    try:
        decoded = base64.b64decode(stripped.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) == 32:
        return decoded
    if len(stripped) < SHORTEST_KEY:
        raise KeyUnusable
    return _derive(stripped.encode("utf-8", "surrogatepass"), b"usher/passphrase")


def _derive(material: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=b"usher ledger key", info=info).derive(material)


def _key_id(material: bytes) -> bytes:
    return _derive(material, b"usher/key id")[:_ID_BYTES]
