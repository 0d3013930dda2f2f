"""A batch's verdicts become what the ledger keeps of each row, and what they mean for the
connection. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.addresses import fold_address
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.model import FINAL, Outcome, RowState
from worker.operations.operation import NOT_THERE_YET

_FINAL = {Kind.ALREADY: RowState.ALREADY, Kind.FAILED: RowState.FAILED}


@dataclass(slots=True)
class Consequences:
    """The consequences of a batch's verdicts beyond their rows."""

    throttled: Verdict | None = None  # the longest wait among them
    refused: int = 0  # rows that were throttled
    hold: Verdict | None = None  # the gravest
    retry: Verdict | None = None  # refused before processing, or nobody answered
    lost: Verdict | None = None  # no usable answer; the rows are in doubt
    token_refused: bool = False
    processed: int = 0  # rows that Graph gave a verdict on: its gate is open
    refused_wholes: dict[str, Verdict] = field(default_factory=dict)  # by name: domains and targets
    begun: int = 0  # writes that this process had begun when these left (`limit_header.Begun`)
    elapsed_s: float = 0.0  # from their mark to their answers


@dataclass(slots=True)
class Judged:
    """A row's verdict, and the wholes that it may speak for: the address's domain, the target."""

    email: str
    verdict: Verdict
    target: str = ""

    @property
    def whole(self) -> str:
        """The name of what is refused as a whole; '' where the row alone is."""
        if self.verdict.whole_domain:
            return name_domain(self.email)
        return self.target if self.verdict.whole_target else ""


def name_domain(email: str) -> str:
    """Return the name of an address's domain among the wholes; no target's id begins like it."""
    return f"@{fold_address(email).rpartition('@')[2]}"


def sum_up(judged: Sequence[Judged]) -> Consequences:
    """Sum up what a batch's verdicts mean."""
    found = Consequences()
    for one in judged:
        verdict = one.verdict
        match verdict.kind:
            case Kind.DONE:  # nearly always
                found.processed += 1
            case Kind.THROTTLED:
                found.refused += 1
                if not found.throttled or (verdict.retry_after_s or 0) > (found.throttled.retry_after_s or 0):
                    found.throttled = verdict
            case Kind.HOLD:
                if not found.hold or verdict.hold is HoldKind.ABUSE:
                    found.hold = verdict
            case Kind.TOKEN:
                found.token_refused = True
            case Kind.RETRY if verdict.cause == NOT_THERE_YET:  # this guest's alone
                found.processed += 1
            case Kind.RETRY:
                found.retry = verdict
            case Kind.IN_DOUBT:
                found.lost = verdict
            case _:
                found.processed += 1
                if whole := one.whole:
                    found.refused_wholes[whole] = verdict
    return found


def mark_refusals(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Say of verdicts what each counts as among its job's refusals (`model.Refusals`).

    Of a domain or target that is refused as a whole only the first refusal counts; the ledger is
    told a hash of its name.
    """
    marks = []
    for one in judged:
        match one.verdict.kind:
            case Kind.DONE | Kind.ALREADY:
                marks.append("o")
            case Kind.FAILED if whole := one.whole:
                marks.append("d" + hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:12])
            case Kind.FAILED:
                marks.append("x")
            case _:
                marks.append("-")
    return tuple(marks)


def build_outcome(
    index: int,
    attempt: int,
    verdict: Verdict,
    *,
    mail: str,
    silent: bool,
    doubts: bool,
    may_read: bool,
    shown: bool = True,
    told: str = "",
    look_after_s: float,
    request_id: str,
    at_ms: int,
) -> Outcome:
    """Turn one verdict into what the ledger keeps: the row's end, or pending again, or in doubt.

    `doubts`: a row that was perhaps processed is not simply done again. `may_read`: rows can be
    looked up, so one that was perhaps processed is in doubt rather than sent again; where
    no row is in doubt, it says when that was (`attempted_at_ms`). `shown`: a look tells; otherwise
    a row in doubt stays so. `told`: of one that was done.
    """
    if verdict.kind is Kind.DONE:  # nearly always
        return Outcome(  # by place: names would make it twice as dear, and there is one for every row
            index,
            RowState.DONE,
            verdict.user_id,
            verdict.invitation_id,
            verdict.redeem_url,
            mail,
            "",  # no code
            told,
            verdict.request_id or request_id,
            attempt,
            at_ms,
        )
    letter = _FINAL.get(verdict.kind)
    lost = verdict.kind is Kind.IN_DOUBT
    in_doubt = doubts and (lost or (verdict.maybe_processed and may_read))
    if letter is None:
        careful = silent or verdict.apart
        doubtful = RowState.IN_DOUBT if shown else RowState.LEFT_IN_DOUBT
        letter = doubtful if in_doubt else RowState.PENDING_SILENT if careful else RowState.PENDING
    put_off_s = verdict.retry_after_s or 0.0 if verdict.kind is Kind.LATER else 0.0
    return Outcome(
        index,
        letter,
        user_id=verdict.user_id,
        invitation_id=verdict.invitation_id,
        redeem_url=verdict.redeem_url,
        code=verdict.code or verdict.cause,
        message=verdict.message,
        request_id=verdict.request_id or request_id,
        attempts=attempt,
        at_ms=at_ms,
        attempted_at_ms=at_ms if letter not in FINAL and not doubts and (lost or verdict.maybe_processed) else 0,
        wait_s=look_after_s if letter is RowState.IN_DOUBT else put_off_s,
    )


def build_skip(index: int, verdict: Verdict, at_ms: int) -> Outcome:
    """End a row unsent: the tenant refuses its whole domain or target, and asking again would only
    look suspicious.
    """
    return Outcome(
        index, RowState.FAILED, code=verdict.code or verdict.cause, message=f"Not sent: {verdict.message}", at_ms=at_ms
    )
