"""A forecast says what would become of a row, from what could be read beforehand: done, skipped or
refused, and why. Pure.

The order is that of the real run: the index of guests, the look-up before the first send, then
Graph. The operation judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.ledger.model import Options, Outcome, Row, RowState, is_resent
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Asked

if TYPE_CHECKING:
    from worker.operations.operation import Operation
    from worker.operations.tenant_rules import TenantRules


def foresee(
    operation: Operation, row: Row, address: str, seen: Seen, rules: TenantRules, options: Options, *, prechecked: bool
) -> Foreseen:
    """Judge a row that may be sent, its address folded. `prechecked`: the real run looks people up
    before the first send.
    """
    is_sent_anyway = is_resent(row, options)
    if seen.known is not None and not is_sent_anyway:
        return _ended(operation.judge_known(seen.known, 0, seen.user))
    if prechecked and seen.looked_up and not is_sent_anyway:
        outcome = operation.judge_seen(Asked(0, row, seen.user), options)
        if outcome is not None:
            return _ended(outcome)
    foreseen = operation.foresee(row, address, seen, rules)
    if foreseen == _DONE and not seen.looked_up:
        return Foreseen(Would.DO, "not_looked_up", "Nobody could look whether this guest is there already.")
    return foreseen


def _ended(outcome: Outcome) -> Foreseen:
    """A row that ends unsent: well, or not."""
    would = Would.REFUSE if outcome.letter is RowState.FAILED else Would.SKIP
    return Foreseen(would, outcome.code, outcome.message)


_DONE = Foreseen(Would.DO)
