"""A process keeps what it did last in memory for ten seconds: should Redis lose its last moments,
that is written again.

A failover to a replica loses what had not been passed on yet: marks of rows that have left, and
outcomes. The rows would look unsent. The worker that sent them still knows
(docs/decisions/0006-epochs.md). An entry without an answer, or whose outcome is not recorded yet,
stays.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.ledger.model import Grant, IndexPlace, Outcome, RowState, Ticket

JOURNAL_S = 10.0
"""How far back a process can write again: many times what a replica lags behind, and little enough
to be kept.
"""
_FORGOTTEN_S = 900.0
"""An entry that was never recorded (its task broke) goes after this: well after any outcome is
given up (`chunk_run.py`).
"""


@dataclass(slots=True)
class JournalEntry:
    """An entry is one batch: what was granted, and once heard, the call that records it."""

    ticket: Ticket
    grant: Grant
    nonce: str
    index: IndexPlace | None
    whose: bytes = field(repr=False)  # of a stage's rows: whose items they are (`stages.tell_whose`)
    begun_s: float
    record: tuple[list[Any], list[Any]] | None = field(default=None, repr=False)  # keys and arguments of `record_batch`
    unsent: frozenset[int] = frozenset()  # rows that were refused before processing: they may as well look unsent
    recorded_s: float | None = None


class Journal:
    """The batches of one process, oldest first. `now`: a monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen_s = now()
        # Ordered: a plain dict that loses its first entry again and again looks through all that
        # were there before
        self._entries: OrderedDict[tuple[str, int, int], JournalEntry] = OrderedDict()

    def seen(self) -> None:
        """Note that the ledger is the one we know: what was recorded ten seconds ago is safe. While
        it is away nothing gets safer with time.
        """
        self._seen_s = self._now()

    def begun(self, ticket: Ticket, grant: Grant, nonce: str, index: IndexPlace | None, whose: bytes = b"") -> None:
        """Keep a batch whose rows were marked and are about to leave."""
        self._prune()
        self._entries[ticket.job, ticket.chunk, grant.batch] = JournalEntry(
            ticket, grant, nonce, index, whose, self._now()
        )

    def heard(
        self, job: str, chunk: int, batch: int, outcomes: Sequence[Outcome], keys: list[Any], args: list[Any]
    ) -> None:
        """Keep a batch's answers, which have come and are about to be recorded."""
        entry = self._entries.get((job, chunk, batch))
        if entry is not None:
            entry.record = (keys, args)
            pending = (RowState.PENDING, RowState.PENDING_SILENT)
            entry.unsent = frozenset([outcome.index for outcome in outcomes if outcome.letter in pending])

    def recorded(self, job: str, chunk: int, batch: int) -> None:
        """Note that the ledger has a batch's answers."""
        entry = self._entries.get((job, chunk, batch))
        if entry is not None:
            entry.recorded_s = self._now()

    def entries(self) -> list[JournalEntry]:
        """Return what would have to be written again now."""
        self._prune()
        return list(self._entries.values())

    def _prune(self) -> None:
        """Drop what is old, from the front: one that is not over keeps those behind it longer."""
        safe_s = max(self._seen_s - JOURNAL_S, self._now() - _FORGOTTEN_S)
        while self._entries:
            place, entry = next(iter(self._entries.items()))
            over_s = entry.recorded_s if entry.recorded_s is not None else entry.begun_s + _FORGOTTEN_S - JOURNAL_S
            if over_s >= safe_s:
                return
            del self._entries[place]
