"""Of the rows of a chunk those are chosen that leave together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.ledger.model import Lease, RowState
from worker.sending.not_shown import SEVERAL

if TYPE_CHECKING:
    from worker.operations.operation import Operation


def choose_together(operation: Operation, lease: Lease, pending: Sequence[int], *, known: bool) -> Sequence[int]:
    """Return the rows that leave together. Where several share a call, they name one target; those
    that go alone come last. `known`: the directory knew some guest where a write asked.
    """
    together = [] if operation.rows_a_call == 1 else [i for i in pending if lease.letters[i] == RowState.PENDING]
    if not together:
        tries_again = not known and lease.rows[pending[0]].get("new") and lease.attempts[pending[0]] > "0"
        return pending[: min(SEVERAL, operation.calls_at_once) if tries_again else operation.calls_at_once]
    target = lease.rows[together[0]].get("target")
    same = [i for i in together if lease.rows[i].get("target") == target]
    return same[: operation.rows_a_call * operation.calls_at_once]
