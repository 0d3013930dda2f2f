"""A chunk's outcomes are written as they come, before anything else is asked for; the last of them
close the chunk.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.ledger.model import ChunkEnd, IndexPlace, Lease, Outcome, Refusals, RowState
from worker.ledger.packing import final_of
from worker.operations.operation import word_of
from worker.operations.stages import Chain
from worker.store.client import keep_trying

if TYPE_CHECKING:
    from worker.operations.operation import Operation
    from worker.services import Services

log = logging.getLogger(__name__)

_RECORD_FOR_S = 600.0  # how long outcomes are carried about while Redis is away: they are known here and nowhere else


class Recording:
    """A recording is one leased chunk's. `tally` counts what became of its rows, for Flower and the
    log.
    """

    def __init__(self, services: Services, lease: Lease, operation: Operation, tally: Counter[str]) -> None:
        self._services = services
        self._lease = lease
        self._operation = operation
        self._tally = tally
        ticket = lease.ticket
        self._chain = Chain.of(
            *(ticket.job, ticket.chunk, lease.base, lease.options, lease.stages, lease.packed),
            suspect=lease.suspect,
            invites=operation.invites,
        )
        self._ended: dict[int, Outcome] = {}  # what was recorded here, in so many blobs
        self._blobs = 0
        self.gone = False  # the job was deleted

    async def record(
        self, batch: int, outcomes: Sequence[Outcome], index: IndexPlace | None, refusals: Refusals | None = None
    ) -> None:
        """Write what became of rows; `batch`: of their mark, 0 where they were not sent. `index`:
        where the chunk's guests stand in the index of guests.
        """
        lease, ledger = self._lease, self._services.ledger
        ticket = lease.ticket
        self._ended |= {outcome.index: outcome for outcome in final_of(outcomes)}
        end, chained = self._find_end(), self._chain.tell(lease.rows, outcomes)
        recorded = await keep_trying(
            lambda: ledger.record_batch(
                *(ticket.job, ticket.chunk, ticket.connection, ticket.lane, batch, outcomes),
                *(index, refusals, end, chained),
            ),
            _RECORD_FOR_S,
        )
        self._blobs += recorded.blob > 0
        letters, attempts = list(lease.letters), list(lease.attempts)
        for outcome in outcomes:
            letters[outcome.index] = outcome.letter
            attempts[outcome.index] = str(min(9, outcome.attempts))
        lease.letters, lease.attempts = "".join(letters), "".join(attempts)
        for letter, count in Counter([outcome.letter for outcome in outcomes]).items():
            self._tally[self._word(letter)] += count
        if recorded.gone:
            log.info(
                "chunk of job %s (%d) was deleted, or lost by a failover, while rows of it were in work",
                ticket.job,
                ticket.chunk + 1,
            )
            lease.lost = self.gone = True
        elif recorded.pending == 0 and recorded.open == 0 and not recorded.folded:
            await ledger.fold(ticket.job, ticket.chunk)

    def _find_end(self) -> ChunkEnd | None:
        """Return all that the chunk came to, once every row of it has ended here."""
        lease = self._lease
        if len(self._ended) < len(lease.rows):
            return None
        outcomes = [self._ended[i] for i in range(len(lease.rows))]
        return ChunkEnd(lease.rows, outcomes, self._blobs, lease.base, lease.packed, whole=bool(lease.stages))

    def _word(self, letter: RowState) -> str:
        """Return how a row stands, as Flower and the log say it."""
        if letter in (RowState.PENDING, RowState.PENDING_SILENT):
            return "to_be_sent_again"
        return "in_doubt" if letter is RowState.IN_DOUBT else word_of(letter, self._operation)
