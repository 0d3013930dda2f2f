"""What is known of a stage's rows that a failover lost goes before doing them: they end as what
happened to their guests, and what was sent and not heard of is sent again only where that does no
harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.ledger.model import Lease, Outcome, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import Operation
from worker.sending.recording import Recording

if TYPE_CHECKING:
    from worker.services import Services


async def find_waiting(services: Services, lease: Lease, operation: Operation, recording: Recording) -> dict[int, Stop]:
    """End the rows of which something is known; returns those that wait to be known, or were
    refused for now.
    """
    now_ms = services.clocks.redis_ms()
    put_off = await services.ledger.find_put_off(lease, now_ms)
    waiting = {i: Stop(Rest.LATER, wait_s) for i, wait_s in put_off.items()}
    known = judge_known(lease, operation, now_ms, services.ledger.settle_s)
    if outcomes := [one for one in known.values() if isinstance(one, Outcome)]:
        await recording.record(0, outcomes, None)
    return waiting | {i: one for i, one in known.items() if isinstance(one, Stop)}


def judge_known(lease: Lease, operation: Operation, now_ms: int, settle_s: float) -> dict[int, Outcome | Stop]:
    """Return how the pending rows end of which something is known, or until when they wait: whoever
    sent one may still be heard. Pure.
    """
    ends: dict[int, Outcome | Stop] = {}
    if not lease.known:
        return ends
    for i in lease.pending():
        match lease.known.get(i):
            case RowState() as letter:
                doubt = letter is RowState.LEFT_IN_DOUBT
                ends[i] = _end(i, letter, now_ms, operation.explain_doubt(None) if doubt else "")
            case int(sent_ms) if not operation.repeatable:
                left_s = settle_s - (now_ms - sent_ms) / 1000
                if 0 < left_s <= settle_s:
                    ends[i] = Stop(Rest.LATER, left_s)
                else:
                    ends[i] = _end(i, RowState.LEFT_IN_DOUBT, now_ms, operation.explain_doubt(None))
    return ends


def _end(index: int, letter: RowState, now_ms: int, message: str) -> Outcome:
    code = "answer_lost" if message else ""
    return Outcome(index, letter, code=code, message=message, attempts=1, at_ms=now_ms)
