"""A list's addresses are remembered in about 30 bytes each, so that one which came before is known.

A million addresses as a Python dictionary would take some 150 MB. Here a digest of 128 bits stands
for an address, so two addresses never meet by chance, nor by anyone's effort (BLAKE2b), and the
digests lie side by side in a bytearray with an open-addressed index beside it: 28 MB for a million
rows, the earlier row number included.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import Final

_DIGEST_BYTES: Final = 16
_FIRST_SLOTS: Final = (
    1 << 12
)  # a power of two; doubles whenever half of it is used, which keeps the search near one step


class SeenAddresses:
    """The folded addresses met so far, each with the number of the row that brought it first."""

    __slots__ = ("_digests", "_mask", "_numbers", "_slots")

    def __init__(self) -> None:
        self._digests = bytearray()
        self._numbers = array("Q")
        self._slots = array("I", bytes(4 * _FIRST_SLOTS))  # 0: free; n: the n-th digest, counted from 1
        self._mask = _FIRST_SLOTS - 1

    def __len__(self) -> int:
        return len(self._numbers)

    def first(self, folded: str, number: int) -> int | None:
        """Remember a folded address; return the earlier row's number, None when it is the first."""
        # A lone surrogate cannot be in a validated address, but this must not be the place where it
        # raises.
        digest = blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
        digests, slots, mask = self._digests, self._slots, self._mask
        slot = int.from_bytes(digest[:8], "little") & mask
        while entry := slots[slot]:
            end = entry * _DIGEST_BYTES
            if digests[end - _DIGEST_BYTES : end] == digest:
                return self._numbers[entry - 1]
            slot = (slot + 1) & mask
        digests += digest
        self._numbers.append(number)
        count = len(self._numbers)
        slots[slot] = count
        if count * 2 > mask:
            self._grow()
        return None

    def _grow(self) -> None:
        size = len(self._slots) * 2
        mask = size - 1
        slots = array("I", bytes(4 * size))
        heads = memoryview(self._digests).cast("Q")
        for entry in range(1, len(self._numbers) + 1):
            slot = heads[2 * entry - 2] & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = entry
        heads.release()  # a bytearray cannot grow while a view of it is open
        self._slots, self._mask = slots, mask
