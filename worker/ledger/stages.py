"""A stage is a job of another operation that is part of a root job: its items are made while the
root's rows end. Here is what its hash says. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.ledger.gates import Gate
from worker.ledger.model import Counts, JobState, Row

_MARK = "~"
NOT_ASKED = "-"
"""In place of a guest's letter in a stage: their row does not ask for it."""


def stage_id(root: str, operation: str) -> str:
    """Return the id of a root job's stage."""
    return f"{root}{_MARK}{operation}"


def is_stage(job: str) -> bool:
    """Whether an id is a stage's."""
    return _MARK in job


def split_stage(job: str) -> tuple[str, str]:
    """Return the root and the operation of a stage's id."""
    root, _, operation = job.partition(_MARK)
    return root, operation


def stages_of(root: str, names: bytes | None) -> list[str]:
    """Return the ids of a root's stages, of the names in its hash."""
    return [stage_id(root, name) for name in (names or b"").decode().split()]


def item_name(item: Row) -> str:
    """Return the name of an item among those of its guests' chunk: the guest's row there, and the
    target.
    """
    target = hashlib.sha1(item["target"].encode(), usedforsecurity=False).hexdigest()
    return f"{item['at'][1]}:{target}"


def tell_whose(rows: Sequence[Row], packed: bytes, said: Mapping[int, str]) -> dict[str, Any]:
    """Return whose items some rows of a stage's chunk are, each with what is said of it, and by
    what the chunk is known: after a failover its number may be another's. `packed`: its rows as the
    ledger has them.
    """
    guests = {str(i): [*rows[i]["at"], text, item_name(rows[i])] for i, text in said.items()}
    chunk = {"rows": hashlib.sha1(packed, usedforsecurity=False).hexdigest()} if packed else {}
    return {"guests": guests, **chunk}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as it stands. `counts` are of guests, whatever they ask for in it."""

    operation: str
    counts: Counts
    open: int  # items on the wire or in doubt
    waiting: int  # items that have not ended
    state: JobState  # held where its channel's gate holds it
    gate: Gate  # of its channel
    why: str = ""  # why it is held, or what some of its guests wait for

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (JobState.DONE, JobState.CANCELLED) and not self.open


def read_stage(operation: str, fields: dict[bytes, bytes], gate: Gate) -> Stage:
    """Read a stage's hash, beside what its channel's gate says."""

    def number(name: str) -> int:
        return int(fields.get(name.encode(), 0))

    state, open_items = JobState(fields[b"state"].decode()), number("open")
    counts = Counts.read(number("asked"), [number(f"g:{letter}") for letter in "igkfu"], open_items, state)
    waiting = number("rows") - sum(number(f"n:{letter}") for letter in "igkfu")
    why = (fields.get(b"why") or (fields.get(b"waits") if waiting else b"") or b"").decode("utf-8", "replace")
    if state is JobState.RUNNING and gate.held:
        state, why = JobState.HELD, gate.why
    return Stage(operation, counts, open_items, waiting, state, gate, why)
