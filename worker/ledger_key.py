"""A ledger key lies in a file: 32 random bytes in URL-safe base64, for its owner alone (0600), made
once and never overwritten.

Everything sealed with a key opens with that key only, so a second one in its place would lose every
redeem link of the ledger.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

SHORTEST_FILE: Final = 40
"""Bytes below which a file cannot be a key that was made here: it was cut off."""


def make_key_text() -> str:
    """Return a new key."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")


def write_key(path: Path) -> None:
    """Write a new key to a file that is not there yet, whole or not at all. Raises FileExistsError,
    and OSError where it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(make_key_text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename it fails where somebody else was first
    finally:
        draft.unlink()
