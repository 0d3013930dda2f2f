"""The audit trail keeps of a row Microsoft's object id, a keyed hash of the address, request id,
time and outcome. Pure.

Ids and hashes do not compress, so they stand as raw bytes behind a small compressed head: 30 bytes
a row where a batch shares a request id, 46 where each row has its own. A row that nothing was done
to (invalid, a duplicate, cancelled) is not in it.

    layout   version (1 byte) · length of the head (2 bytes) · head (JSON, zlib)
             · object ids (16 bytes each) · request ids (16 each, one for all rows that
             follow each other with it) · hashes (12 each)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from typing import Any, TypeVar
from uuid import UUID

import orjson

from worker.channels import split_channel
from worker.ledger.guests.guest_index import HASH_BYTES
from worker.ledger.model import Outcome, RowState, status_of
from worker.ledger.packing import pack_guids

_VERSION = b"\x01"
_T = TypeVar("_T")
_ID_BYTES = 16
_NO_ID = bytes(_ID_BYTES)
NOBODY = bytes(HASH_BYTES)
"""In place of the hash of a person who was forgotten."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry says what became of one guest. `guest`: the address's hash, as the index of guests
    has it; empty where it was not known.
    """

    row: int
    at_ms: int
    outcome: str
    object_id: str
    request_id: str
    code: str
    guest: bytes


@dataclass(frozen=True, slots=True)
class AuditRows:
    """The entries of one chunk. `single`: of a guest whom a producer asked for by itself."""

    connection: str
    operation: str
    single: bool
    rows: tuple[AuditRow, ...]


def pack(
    connection: str, base: int, outcomes: Iterable[Outcome | None], hashes: Mapping[int, bytes], *, single: bool = False
) -> bytes:
    """Pack what is kept of a chunk whose first row is `base`; empty where nothing was done."""
    done = [o for o in outcomes if o is not None and (o.user_id or o.request_id or o.attempts)]
    if not done:
        return b""
    guids = pack_guids([o.user_id for o in done])  # nearly always, and a third of the time
    ids = [guids] if guids else [_raw_id(o.user_id) for o in done]
    requests = _runs([o.request_id for o in done])
    head: dict[str, Any] = {"c": connection, "b": base, "l": "".join([o.letter for o in done])}
    head["t"] = _runs([o.at_ms for o in done])
    if len(requests) < len(done):
        head["g"] = [count for count, _ in requests]
    texts = [text for _, text in requests]
    guids = pack_guids(texts)
    asked = [guids] if guids else [_raw_id(text) if text else _NO_ID for text in texts]
    if not all(asked):
        head["q"], asked = texts, []
    indexes = [o.index for o in done]
    if indexes != list(range(len(done))):
        head["i"] = indexes
    if not all(ids):
        head["u"] = "".join("1" if raw else "0" for raw in ids)
    if codes := {str(place): o.code for place, o in enumerate(done) if o.code}:
        head["e"] = codes
    if single:
        head["s"] = 1
    tail = b"".join((*ids, *asked))
    if hashes:
        head["h"] = 1
        tail += b"".join([hashes.get(index, NOBODY) for index in indexes])
    packed = zlib.compress(orjson.dumps(head), 1)  # small already
    return b"".join((_VERSION, len(packed).to_bytes(2, "big"), packed, tail))


def unpack(blob: bytes) -> AuditRows:
    """Unpack `pack`. Raises ValueError for what a newer usher wrote."""
    if blob[:1] != _VERSION:
        raise ValueError("a newer usher wrote this part of the trail")
    start = 3 + int.from_bytes(blob[1:3], "big")
    head: dict[str, Any] = orjson.loads(zlib.decompress(blob[3:start]))
    letters: str = head["l"]
    has_id = head.get("u", "1" * len(letters))
    requests_at = start + _ID_BYTES * has_id.count("1")
    counts = head.get("g", [1] * len(letters))
    asked = head.get("q") or [_read_id(blob, requests_at + _ID_BYTES * run) for run in range(len(counts))]
    hashes_at = requests_at + (0 if "q" in head else _ID_BYTES * len(counts))
    requests, times = _unrolled(zip(counts, asked, strict=True)), _unrolled(head["t"])
    ids = iter(range(start, requests_at, _ID_BYTES))
    indexes, codes = head.get("i", range(len(letters))), head.get("e", {})
    connection, operation = split_channel(head["c"])
    rows = []
    for place, letter in enumerate(letters):
        of = hashes_at + place * HASH_BYTES
        guest = blob[of : of + HASH_BYTES] if "h" in head else b""
        object_id = _read_id(blob, next(ids)) if has_id[place] == "1" else ""
        rows.append(
            AuditRow(
                head["b"] + indexes[place],
                next(times),
                status_of(RowState(letter), operation),
                object_id,
                next(requests),
                codes.get(str(place), ""),
                b"" if guest == NOBODY else guest,
            )
        )
    return AuditRows(connection, operation, "s" in head, tuple(rows))


def without(blob: bytes, guests: Iterable[bytes]) -> tuple[bytes, int]:
    """Return a packed chunk without the hashes of some people, and how many rows that were."""
    wanted = {hash_ for hash_ in guests if hash_}
    if not any(hash_ in blob for hash_ in wanted):  # nearly always: the head is not even read
        return blob, 0
    return _blank(blob, unpack(blob), wanted)


def without_anybody(blob: bytes, connection: str) -> tuple[bytes, int]:
    """Return a packed chunk of this connection without any hash, and how many rows had one."""
    rows = unpack(blob)
    wanted = {row.guest for row in rows.rows if row.guest} if rows.connection == connection else set()
    return _blank(blob, rows, wanted)


def _blank(blob: bytes, rows: AuditRows, wanted: set[bytes]) -> tuple[bytes, int]:
    count = sum(row.guest in wanted for row in rows.rows)
    if not count:
        return blob, 0
    hashes_at = len(blob) - HASH_BYTES * len(rows.rows)
    kept = [blob[at : at + HASH_BYTES] for at in range(hashes_at, len(blob), HASH_BYTES)]
    return blob[:hashes_at] + b"".join(NOBODY if one in wanted else one for one in kept), count


def _raw_id(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return b""
    return raw if len(raw) == _ID_BYTES else b""


def _read_id(blob: bytes, at: int) -> str:
    raw = blob[at : at + _ID_BYTES]
    return "" if raw == _NO_ID else str(UUID(bytes=raw))


def _runs(values: Sequence[Any]) -> list[tuple[int, Any]]:
    """Return (how many, value) of equal values that follow each other."""
    return [(len(list(group)), value) for value, group in groupby(values)]


def _unrolled(runs: Iterable[tuple[int, _T]]) -> Iterator[_T]:
    for count, value in runs:
        yield from repeat(value, count)
