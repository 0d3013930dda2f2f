"""Rows and outcomes are packed column by column as JSON, compressed, a chunk at a time; ids as the
16 bytes they are.

Column by column because equal keys and similar values then lie side by side: about half the size of
a list of objects, and quicker to read. Redeem links lie in a blob of their own, because those are
sealed before they are stored. What is read again within seconds (the outcomes of one batch, until
their chunk is finished) is plain JSON: anything else would cost more than all else that is done
here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson

from worker.ledger.model import FINAL, Outcome, RowState

_ROWS = 6  # level of zlib: 9 saves 1 % and doubles the time
_KEPT = 1  # of outcomes and links, mostly ids and tickets: 6 saves 4 % and doubles the time
_DASHES = (8, 13, 18, 23)  # where a GUID has them


def pack_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Pack a chunk's input rows; each has an `email`. A column that no row has is not there; a row
    without a value has null.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return zlib.compress(orjson.dumps({name: [row.get(name) for row in rows] for name in names}), _ROWS)


def unpack_rows(blob: bytes) -> list[dict[str, Any]]:
    """Unpack `pack_rows`, or the rows of a stage, which a script has put together as JSON."""
    if blob.startswith(b"["):
        items: list[dict[str, Any]] = orjson.loads(blob)
        return items
    columns: dict[str, list[Any]] = orjson.loads(zlib.decompress(blob))
    names = tuple(columns)
    return [
        {name: value for name, value in zip(names, values, strict=True) if value is not None}
        for values in zip(*columns.values(), strict=True)
    ]


_FIELDS = ("index", "letter", "user_id", "invitation_id", "mail", "code", "message", "request_id", "attempts", "at_ms")
_SHOWN = {"email", "display_name", "ref"}  # of a row by its results
_values_of = attrgetter(*_FIELDS)
_IDS = ("user_id", "invitation_id")


def pack_outcomes(outcomes: Iterable[Outcome], *, for_now: bool = False) -> bytes:
    """Pack the final ones among some outcomes, without their links; empty if there is none."""
    final = final_of(outcomes)
    if not final:
        return b""
    if for_now:
        return orjson.dumps([_values_of(o) for o in final])
    columns: dict[str, Any] = {}
    ids = b""
    for name, values in zip(_FIELDS, zip(*map(_values_of, final), strict=True), strict=True):
        if name in _IDS and (packed := pack_guids(values)):
            ids += packed
            columns[name] = None
        elif any(values):  # a column of empty values is left out
            columns[name] = values
    head = zlib.compress(orjson.dumps(columns), _KEPT)
    return _with_length(head) + ids


def unpack_outcomes(blob: bytes) -> list[Outcome]:
    """Unpack `pack_outcomes`."""
    if blob.startswith(b"["):  # for now; the others begin with their length
        return [
            Outcome(**{**dict(zip(_FIELDS, values, strict=True)), "letter": RowState(values[1])})
            for values in orjson.loads(blob)
        ]
    head, ids = _split(blob)
    columns: dict[str, Any] = orjson.loads(zlib.decompress(head))
    size = 16 * len(columns["letter"])
    for name in _IDS:
        if name in columns and columns[name] is None:
            columns[name], ids = _unpack_guids(ids[:size]), ids[size:]
    if "index" not in columns:  # a single outcome of row 0
        columns["index"] = [0] * len(columns["letter"])
    columns["letter"] = [RowState(letter) for letter in columns["letter"]]
    names = tuple(columns)
    return [Outcome(**dict(zip(names, values, strict=True))) for values in zip(*columns.values(), strict=True)]


def pack_links(outcomes: Iterable[Outcome], *, for_now: bool = False) -> bytes:
    """Pack the redeem links of final outcomes by row; empty if there is none. The result is a
    secret until it is sealed.
    """
    links = {str(o.index): o.redeem_url for o in outcomes if o.redeem_url and o.letter in FINAL}
    packed = orjson.dumps(links) if links else b""
    return packed if for_now or not links else zlib.compress(packed, _KEPT)


def unpack_links(blob: bytes) -> dict[int, str]:
    """Unpack `pack_links`."""
    links = blob if blob.startswith(b"{") else zlib.decompress(blob)
    return {int(index): link for index, link in orjson.loads(links).items()}


def pack_finished(rows: Sequence[Mapping[str, Any]], outcomes: Iterable[Outcome], *, whole: bool = False) -> bytes:
    """Pack a finished chunk: every row's outcome, and of the rows what the results show; all of one
    that may be tried again, or (`whole`) of each.
    """
    ended = list(outcomes)
    return pack_head(rows, ended, whole=whole) + pack_outcomes(ended)


def pack_head(
    rows: Sequence[Mapping[str, Any]], ended: Sequence[Outcome], packed: bytes = b"", *, whole: bool = False
) -> bytes:
    """Pack the part of a finished chunk that stands before its outcomes. `packed`: the rows as
    `pack_rows` made them, where that is at hand.
    """
    if whole or set().union(*rows) <= _SHOWN:  # there is nothing to leave out
        return _with_length(packed or pack_rows(rows))
    again = {o.index for o in ended if o.letter in (RowState.FAILED, RowState.LEFT_IN_DOUBT)}
    kept = [
        row if index in again else {name: value for name, value in row.items() if name in _SHOWN}
        for index, row in enumerate(rows)
    ]
    return _with_length(pack_rows(kept))


def unpack_finished(blob: bytes) -> tuple[list[dict[str, Any]], list[Outcome]]:
    """Unpack `pack_finished`."""
    head, tail = _split(blob)
    return unpack_rows(head), unpack_outcomes(tail) if tail else []


def _with_length(head: bytes) -> bytes:
    return len(head).to_bytes(4, "big") + head


def _split(blob: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(blob[:4], "big")
    return blob[4:end], blob[end:]


def pack_guids(values: Sequence[str]) -> bytes:
    """Return ids as Graph writes them, 16 bytes each; nothing if any is something else."""
    text, dashes = "".join(values), "-" * len(values)
    if set(map(len, values)) != {36} or any(text[at::36] != dashes for at in _DASHES) or text != text.lower():
        return b""
    try:
        packed = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return b""
    return packed if len(packed) == 16 * len(values) else b""


def _unpack_guids(packed: bytes) -> list[str]:
    text = packed.hex()
    parts = (text[start : start + 32] for start in range(0, len(text), 32))
    return [f"{p[:8]}-{p[8:12]}-{p[12:16]}-{p[16:20]}-{p[20:]}" for p in parts]


def final_of(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return those that are how their rows ended, rather than where they stand."""
    return [outcome for outcome in outcomes if outcome.letter in FINAL]
