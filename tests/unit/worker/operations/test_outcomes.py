from __future__ import annotations

import pytest

from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.model import FINAL, Outcome, RowState
from worker.operations.outcomes import Judged, build_outcome, build_skip, mark_refusals, sum_up


def _outcome(verdict: Verdict, *, silent: bool = False, may_read: bool = True, doubts: bool = True) -> Outcome:
    return build_outcome(
        4,
        2,
        verdict,
        mail="requested",
        silent=silent,
        doubts=doubts,
        may_read=may_read,
        look_after_s=5,
        request_id="ours",
        at_ms=9,
    )


@pytest.mark.parametrize(
    ("kind", "letter"),
    [
        (Kind.DONE, RowState.DONE),
        (Kind.ALREADY, RowState.ALREADY),
        (Kind.FAILED, RowState.FAILED),
        (Kind.THROTTLED, RowState.PENDING),
        (Kind.RETRY, RowState.PENDING),
        (Kind.AGAIN, RowState.PENDING),
        (Kind.HOLD, RowState.PENDING),
        (Kind.TOKEN, RowState.PENDING),
        (Kind.IN_DOUBT, RowState.IN_DOUBT),
    ],
)
def test_every_kind_of_verdict_puts_the_row_somewhere(kind: Kind, letter: RowState) -> None:
    """Trouble with the connection is not trouble with the row; a lost answer is never a failure nor
    a retry.
    """
    outcome = _outcome(Verdict(kind, "code"))
    assert outcome.letter is letter
    assert (outcome.wait_s > 0) is (letter is RowState.IN_DOUBT)
    assert (outcome.attempts, outcome.index, outcome.at_ms, outcome.request_id) == (2, 4, 9, "ours")


def test_perhaps_processed_is_in_doubt_only_where_it_can_be_looked_up() -> None:
    """503 with Retry-After: refused before processing, as far as anybody says."""
    verdict = Verdict(Kind.RETRY, "unavailable", maybe_processed=True)
    assert _outcome(verdict).letter is RowState.IN_DOUBT
    assert _outcome(verdict, may_read=False).letter is RowState.PENDING


def test_what_is_harmless_to_repeat_is_never_in_doubt() -> None:
    """A lost answer is another try."""
    assert _outcome(Verdict(Kind.IN_DOUBT), doubts=False).letter is RowState.PENDING
    assert _outcome(Verdict(Kind.RETRY, maybe_processed=True), doubts=False).letter is RowState.PENDING


def test_a_row_without_mail_goes_back_without_mail() -> None:
    """A 429 does not make Graph mail a guest whom we wanted to spare."""
    assert _outcome(Verdict(Kind.THROTTLED), silent=True).letter is RowState.PENDING_SILENT


def test_mail_is_only_claimed_as_requested() -> None:
    """And only for who was invited."""
    assert _outcome(Verdict(Kind.DONE)).mail == "requested"
    assert _outcome(Verdict(Kind.FAILED, "x")).mail == ""


def test_graphs_own_request_id_goes_before_ours() -> None:
    """It is what Microsoft's support asks for."""
    assert _outcome(Verdict(Kind.FAILED, "x", request_id="theirs")).request_id == "theirs"


def test_a_batch_in_sum() -> None:
    """The longest wait, the gravest hold, blocked domains of rows that failed, and how many Graph
    decided on.
    """
    short, long_ = Verdict(Kind.THROTTLED, retry_after_s=1), Verdict(Kind.THROTTLED, retry_after_s=9)
    permission, abuse = Verdict(Kind.HOLD, hold=HoldKind.PERMISSION), Verdict(Kind.HOLD, hold=HoldKind.ABUSE)
    domain = Verdict(Kind.FAILED, "blocked", whole_domain=True)
    found = sum_up(
        [
            Judged("a@x.example", short),
            Judged("b@x.example", long_),
            Judged("c@x.example", abuse),
            Judged("d@x.example", permission),
            Judged("e@y.example", domain),
            Judged("f@z.example", Verdict(Kind.DONE)),
            Judged("g@z.example", Verdict(Kind.IN_DOUBT)),
        ]
    )
    assert found.throttled is long_
    assert found.hold is abuse
    assert found.refused_wholes == {"@y.example": domain}
    assert found.processed == 2
    assert found.lost
    assert not found.token_refused


def test_a_lost_batch_is_not_counted_as_processed() -> None:
    """Nothing of it may open a gate or reset a backoff."""
    found = sum_up([Judged("a@x.example", Verdict(Kind.IN_DOUBT)), Judged("b@x.example", Verdict(Kind.TOKEN))])
    assert found.processed == 0
    assert found.token_refused


def test_what_counts_as_a_refusal() -> None:
    """Graph's word on a row, good or bad. Rows of one refused domain count together; no answer
    counts as nothing.
    """
    domain = Verdict(Kind.FAILED, "blocked", whole_domain=True)
    marks = mark_refusals(
        [
            Judged("a@x.example", Verdict(Kind.DONE)),
            Judged("b@x.example", Verdict(Kind.ALREADY)),
            Judged("c@x.example", Verdict(Kind.FAILED)),
            Judged("d@y.example", domain),
            Judged("e@y.example", domain),
            Judged("f@z.example", domain),
            Judged("g@x.example", Verdict(Kind.THROTTLED)),
            Judged("h@x.example", Verdict(Kind.IN_DOUBT)),
        ]
    )
    assert marks[:3] + marks[6:] == ("o", "o", "x", "-", "-")
    assert marks[3] == marks[4] != marks[5]
    assert all(mark.startswith("d") and "example" not in mark for mark in marks[3:6])


def test_a_skipped_row_says_that_it_was_not_sent() -> None:
    """It ends failed, with Graph's reason."""
    outcome = build_skip(3, Verdict(Kind.FAILED, "blocked", "y.example is blocked."), 7)
    assert outcome.letter.value in FINAL
    assert (outcome.message, outcome.attempts) == ("Not sent: y.example is blocked.", 0)


def test_a_refused_call_whose_bad_row_nobody_knows() -> None:
    """Each of its rows is sent again, in a call of its own; nobody is to blame, and the gate is
    open.
    """
    again = Verdict(Kind.AGAIN, apart=True)
    assert _outcome(again, doubts=False).letter is RowState.PENDING_SILENT
    judged = [Judged("a@x.example", again, "group-1"), Judged("b@x.example", again, "group-1")]
    assert mark_refusals(judged) == ("-", "-")
    found = sum_up(judged)
    assert (found.processed, found.retry, found.refused_wholes) == (2, None, {})


def test_what_is_refused_with_its_target_counts_once() -> None:
    """A group that takes no guests refuses none of them for what they are."""
    full = Verdict(Kind.FAILED, "full", whole_target=True)
    judged = [Judged("a@x.example", full, "group-1"), Judged("b@x.example", full, "group-1")]
    assert len(set(mark_refusals(judged))) == 1
    assert mark_refusals(judged)[0].startswith("d")
    assert sum_up(judged).refused_wholes == {"group-1": full}
