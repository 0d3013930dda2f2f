"""A list's fingerprint is taken from the bytes as they are read, so it is of what a job was made
from, even of a pipe or a file that changes.
"""

from __future__ import annotations

import hashlib

from tasks.lists.encodings import ByteSource
from tasks.lists.text_lines import BLOCK_BYTES


class Hashed:
    """A source that takes the SHA-256 of all that is read of it."""

    __slots__ = ("_digest", "_read")

    def __init__(self, source: ByteSource) -> None:
        # As `Prefixed`: what a pipe holds already is better than to wait for a full block
        self._read = getattr(source, "read1", source.read)
        self._digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Read so many bytes at most."""
        block: bytes = self._read(size)
        self._digest.update(block)
        return block

    def hexdigest(self) -> str:
        """Return the SHA-256 of the whole source; what nobody has read is read now."""
        while self.read(BLOCK_BYTES):
            pass
        return self._digest.hexdigest()
