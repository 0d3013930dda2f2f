"""A stored chunk can be read at any time, folded or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker.errors import SealBroken
from worker.ledger import packing
from worker.ledger.model import Outcome
from worker.store.seal import Sealer


@dataclass(frozen=True, slots=True)
class ChunkContents:
    """A chunk at any time: its rows, and each row's letter and outcome (None: none yet)."""

    base: int
    rows: list[dict[str, Any]] = field(repr=False)
    letters: str
    attempts: str
    outcomes: list[Outcome | None]


def links_context(job: str, chunk: int) -> bytes:
    """What a sealed blob is bound to: moved to another chunk, it does not open."""
    return f"links:{job}:{chunk}".encode()


def read_chunk(fields: dict[bytes, bytes], sealer: Sealer | None, context: bytes) -> ChunkContents:
    """Read a chunk's hash, folded or not. A row's first recorded outcome is its outcome.

    Links that cannot be opened (no key here, or another one) are left out.
    """
    letters = fields[b"st"].decode()
    found: dict[int, Outcome] = {}
    links: dict[int, str] = {}
    if b"out" in fields:
        rows, outcomes = packing.unpack_finished(fields[b"out"])
        found = {o.index: o for o in outcomes}
        links = _open_links(fields.get(b"lnk"), sealer, context)
    else:
        rows = packing.unpack_rows(fields[b"rows"])
        for number in range(1, int(fields.get(b"no", 0)) + 1):
            part = _open_links(fields.get(b"l%d" % number), sealer, context)
            for outcome in packing.unpack_outcomes(fields[b"o%d" % number]):
                # A blob may hold outcomes that came too late: the row's letter says which one
                # counts.
                if outcome.index not in found and outcome.letter.value == letters[outcome.index]:
                    found[outcome.index] = outcome
                    if outcome.index in part:
                        links[outcome.index] = part[outcome.index]
    outcomes_by_row = [_with_link(found.get(i), links.get(i, "")) for i in range(len(letters))]
    return ChunkContents(int(fields[b"base"]), rows, letters, fields.get(b"at", b"").decode(), outcomes_by_row)


def rows_in(fields: Mapping[bytes, bytes]) -> list[dict[str, Any]]:
    """Return the rows of a chunk, by its fields `rows` and `out`; none where it has neither."""
    if rows := fields.get(b"rows"):
        return packing.unpack_rows(rows)
    return packing.unpack_finished(fields[b"out"])[0] if b"out" in fields else []


def sealed_links(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the sealed links of a chunk by field, folded or not."""
    return {
        name: value
        for name, value in fields.items()
        if value and (name == b"lnk" or (name[:1] == b"l" and name[1:].isdigit()))
    }


def check_links(fields: Mapping[bytes, bytes], sealer: Sealer | None, context: bytes) -> None:
    """Raise `SealBroken` where a chunk has links that no key here opens."""
    for value in sealed_links(fields).values():
        if sealer is None:
            raise SealBroken
        sealer.open(value, context)


def _with_link(outcome: Outcome | None, link: str) -> Outcome | None:
    return replace(outcome, redeem_url=link) if outcome is not None and link else outcome


def _open_links(sealed: bytes | None, sealer: Sealer | None, context: bytes) -> dict[int, str]:
    if not sealed or sealer is None:
        return {}
    try:
        return packing.unpack_links(sealer.open(sealed, context))
    except SealBroken:
        return {}
