from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.graph.batch import Fate, GraphAnswer
from worker.graph.causes import Kind, OperationRules
from worker.graph.verdicts import READ_DELETED, READ_ORGANIZATION, READ_POLICY, READ_USERS, decide
from worker.operations.again.reset_rules import RESET
from worker.operations.invite_rules import INVITE
from worker.signin.aadsts import SigninKind, explain_signin

_ASKED = (INVITE, RESET, READ_USERS, READ_ORGANIZATION, READ_POLICY, READ_DELETED)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_ERROR = st.fixed_dictionaries(
    {"error": st.fixed_dictionaries({"code": _JSON, "message": _JSON, "innerError": _JSON}) | _JSON}
)
_SUCCESS = st.fixed_dictionaries({"invitedUser": _JSON | st.fixed_dictionaries({"id": _JSON}), "status": _JSON})
_HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "request-id", "x-ms-throttle-scope"]), st.text(max_size=40)
)
_ANSWERS = st.builds(
    GraphAnswer,
    st.sampled_from(Fate),
    st.integers(-1, 1000),
    _HEADERS,
    _JSON | _ERROR | _SUCCESS,
    st.sampled_from(["", "whole batch", "stale mark"]),
)


@given(st.sampled_from(_ASKED), _ANSWERS, st.text(max_size=30))
def test_no_answer_is_without_a_verdict(rules: OperationRules, answer: GraphAnswer, email: str) -> None:
    """Whatever comes back, there is a verdict, and a sentence beside it."""
    verdict = decide(rules, answer, email=email)
    assert verdict.message or verdict.kind is Kind.OK
    assert (verdict.hold is not None) == (verdict.kind is Kind.HOLD)
    assert verdict.retry_after_s is None or 0 <= verdict.retry_after_s <= 86_400


@given(_ANSWERS)
def test_only_a_success_with_a_user_is_an_invitation(answer: GraphAnswer) -> None:
    """Nobody counts as invited whom Graph did not name."""
    verdict = decide(INVITE, answer)
    assert (verdict.kind is Kind.DONE) <= (answer.fate is Fate.ANSWERED and bool(verdict.user_id))


@given(_ANSWERS)
def test_a_lost_write_is_always_in_doubt(answer: GraphAnswer) -> None:
    """A request that may have arrived is never sent again unseen."""
    verdict = decide(INVITE, answer)
    if answer.fate is Fate.LOST:
        assert verdict.kind is Kind.IN_DOUBT


@given(
    st.integers(0, 999),
    _JSON | st.fixed_dictionaries({"error": _JSON, "error_codes": _JSON, "error_description": _JSON}),
)
def test_no_sign_in_answer_is_without_a_sentence(status: int, body: Any) -> None:
    """Whatever the sign-in service says, somebody is told what to do."""
    trouble = explain_signin(status, body)
    assert trouble.sentence
    assert trouble.kind in SigninKind
