"""What `begin_batch.lua` takes and returns, as values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.ledger.model import Grant, GrantedRow, KnownRow, Lane
from worker.ledger.quota import Bucket
from worker.ledger.why_waiting import Rest


def read_grant(reply: Sequence[Any]) -> Grant:
    """Read what `begin_batch.lua` returns."""
    match reply[0]:
        case b"go":
            _, batch, at_ms, flags, known, blocked, rows, attempts, letters = reply
            granted = zip(rows.split(b",") if rows else (), attempts.decode(), letters.decode(), strict=True)
            return Grant(
                tuple([GrantedRow(int(row), int(attempt), letter == "q") for row, attempt, letter in granted]),
                int(batch),
                int(at_ms),
                bool(flags & 1),
                read_known(known),
                tuple(map(int, blocked)),
                probation=bool(flags & 2),
                tries_quota=bool(flags & 4),
            )
        case b"pass":
            return Grant(known=read_known(reply[1]), blocked=tuple(map(int, reply[2])))
        case b"wait":
            return Grant(
                why=Rest(reply[2].decode()), wait_s=reply[1] / 1000, jobs=int(reply[3]) if len(reply) > 3 else 0
            )
    why = reply[1].decode()
    # A tenant's block is not yet its connection's own hold: whoever meets it makes it that, or the
    # chunk would be offered at once again
    return Grant(why=Rest.GATE if reply[0] == b"held" and why != "tenant" else Rest(why))


def write_limits(buckets: Sequence[Bucket], lane: Lane) -> str:
    """One argument for all buckets: twenty would cost more than what is done with them."""
    if lane is not Lane.BULK:
        return " ".join([f"{b.amount} {b.window_ms} {b.cost} 0 0" for b in buckets])
    return " ".join([f"{b.amount} {b.window_ms} {b.cost} {b.kept} {b.in_turn:d}" for b in buckets])


def read_known(pairs: Sequence[Any]) -> tuple[KnownRow, ...]:
    """Read pairs of a row and the index's entry of its guest."""
    found = []
    for row, entry in zip(pairs[::2], pairs[1::2], strict=True):
        at_s, _, job = entry.decode().partition(":")
        found.append(KnownRow(int(row), int(at_s), job))
    return tuple(found)
