"""What the trail keeps of a chunk: all that was done, nothing by which a person could be read off,
in few bytes.
"""

from __future__ import annotations

import os
import uuid

import pytest

from worker.ledger.audit.row_entries import AuditRow, pack, unpack, without
from worker.ledger.model import Outcome, RowState


def outcome(i: int, letter: RowState = RowState.DONE, **changes: object) -> Outcome:
    """A row as a batch leaves it."""
    told = {
        "user_id": str(uuid.UUID(int=i + 1)),
        "request_id": f"request-{i // 20}",
        "attempts": 1,
        "at_ms": 1_800_000_000_000 + i // 20,
        "message": "for ann@example.org",
        "redeem_url": "https://login.example/redeem?ticket=x",
        **changes,
    }
    return Outcome(i, letter, **told)  # type: ignore[arg-type]


def test_what_goes_in_comes_out() -> None:
    """Every kind of row, with and without an id, with gaps where nothing was done."""
    outcomes = [
        outcome(0),
        None,
        outcome(2, RowState.FAILED, user_id="", code="blocked_domain"),
        Outcome(3, RowState.SKIPPED, code="duplicate"),
        outcome(4, RowState.ALREADY, request_id="", attempts=0),
        outcome(5, RowState.LEFT_IN_DOUBT, user_id="not a guid"),
    ]
    hashes = {i: bytes([i + 1]) * 12 for i in range(5)}
    kept = unpack(pack("contoso", 101, outcomes, hashes, single=True))
    assert (kept.connection, kept.single) == ("contoso", True)
    at_ms = 1_800_000_000_000
    assert kept.rows == (
        AuditRow(101, at_ms, "invited", str(uuid.UUID(int=1)), "request-0", "", hashes[0]),
        AuditRow(103, at_ms, "failed", "", "request-0", "blocked_domain", hashes[2]),
        AuditRow(105, at_ms, "already_guest", str(uuid.UUID(int=5)), "", "", hashes[4]),
        AuditRow(106, at_ms, "in_doubt", "", "request-0", "", b""),
    )


def test_where_nothing_was_done_nothing_is_kept() -> None:
    """Invalid rows, duplicates, rows never sent."""
    assert pack("contoso", 1, [None, Outcome(1, RowState.FAILED, code="invalid_row")], {}) == b""


@pytest.mark.parametrize(("shared", "most"), [(20, 33), (1, 48)])
def test_a_row_needs_few_bytes(shared: int, most: int) -> None:
    """An id and a hash are 28, a request id 16 more; the rest is shared by a batch."""
    outcomes = [
        outcome(i, user_id=str(uuid.uuid4()), request_id=str(uuid.UUID(int=i // shared + 2**100))) for i in range(100)
    ]
    blob = pack("contoso", 1, outcomes, {i: os.urandom(12) for i in range(100)})
    assert len(blob) < most * 100
    assert [row.request_id for row in unpack(blob).rows] == [o.request_id for o in outcomes]
    assert b"ann" not in blob
    assert b"ticket" not in blob


def test_a_forgotten_persons_hash_goes_and_nothing_else() -> None:
    """All of theirs, whatever their place; a hash that only seems to be there, across two others,
    is left.
    """
    hashes = {0: b"a" * 12, 1: b"a" * 6 + b"b" * 6, 2: b"b" * 6 + b"a" * 6, 3: b"c" * 12}
    blob = pack("contoso", 1, [outcome(i) for i in range(4)], hashes)
    assert without(blob, [b"b" * 12]) == (blob, 0), "it stands across rows 1 and 2 only"
    kept, count = without(blob, [b"c" * 12])
    assert count == 1
    assert [row.guest for row in unpack(kept).rows] == [hashes[0], hashes[1], hashes[2], b""]
    assert [row.object_id for row in unpack(kept).rows] == [row.object_id for row in unpack(blob).rows]
    assert without(kept, [b"c" * 12]) == (kept, 0)


def test_a_newer_ushers_part_is_refused() -> None:
    """Rather than read wrongly."""
    with pytest.raises(ValueError, match="newer usher"):
        unpack(b"\x02" + pack("contoso", 1, [outcome(0)], {})[1:])
