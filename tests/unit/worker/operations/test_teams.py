"""Guests are put into teams, 200 a call, each judged by an answer of its own."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import Settings
from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.test_groups import asked, guid
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.model import Options
from worker.operations.members.teams import Teams
from worker.operations.operation import Call

CONNECTION = build_connection()
TEAMS = Teams()


def judge(answer: GraphAnswer, *, rows: int = 3, index: int = 0) -> Verdict:
    """Judge one row of a call that so many share."""
    return TEAMS.judge(asked(index), Call(GraphRequest("0", "POST", "/x"), tuple(range(rows))), answer)


def part(index: int, code: str = "", message: str = "") -> dict[str, Any]:
    """Return what a success says of one guest."""
    error = {"code": code, "message": message} if code else None
    return {"@odata.type": "#microsoft.graph.aadUserConversationMemberResult", "userId": guid(index), "error": error}


def partly(*parts: dict[str, Any], status: int = 207) -> GraphAnswer:
    """Return an answer with these parts."""
    return GraphAnswer(Fate.ANSWERED, status, {}, {"value": list(parts)})


def test_a_team_takes_two_hundred_with_one_call() -> None:
    """By the guests' ids, as members and not as owners; a guest who stands there twice is named
    once.
    """
    (call,) = TEAMS.build([asked(i % 199) for i in range(200)], CONNECTION, Options())
    assert (call.request.method, call.request.path) == ("POST", f"/teams/{guid(1, 'a')}/members/add")
    values = call.request.body["values"]  # type: ignore[index]
    assert len(values) == 199
    assert values[0] == {
        "@odata.type": "microsoft.graph.aadUserConversationMember",
        "roles": [],
        "user@odata.bind": f"{CONNECTION.graph_url}/users('{guid(0)}')",
    }
    assert len(call.rows) == 200
    assert TEAMS.calls_at_once == 1


def test_a_team_has_a_bucket_of_its_own() -> None:
    """Four calls a minute, whatever their size; the directory's writes are not touched."""
    first = TEAMS.buckets(Settings(), CONNECTION, [asked(i) for i in range(200)])
    other = TEAMS.buckets(Settings(), CONNECTION, [asked(0, group=2)])
    assert [(bucket.amount, bucket.window_ms, bucket.cost) for bucket in first] == [
        (4, 60_000, 1 / 200),
        (10, 1_000, 1 / 200),
        (100, 1_000, 1 / 200),
    ]
    assert {bucket.cost for bucket in other} == {1}
    assert first[0].scope != other[0].scope
    assert [bucket.scope for bucket in first[1:]] == [bucket.scope for bucket in other[1:]]


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (partly(part(1), part(0), status=200), Kind.DONE, ""),
        (partly(status=200), Kind.DONE, ""),
        (partly(part(1, "BadRequest", "No."), part(0)), Kind.DONE, ""),
        (partly(part(1), part(0, "NotFound", "User not found.")), Kind.RETRY, "not_there_yet"),
        (partly(part(0, "BadRequest", "The user is already a member of the team.")), Kind.ALREADY, "already_member"),
        (partly(part(0, "BadRequest", "Something else.")), Kind.FAILED, "refused"),
        (partly(part(1)), Kind.IN_DOUBT, "in_doubt"),
        (answered(404, "NotFound", "No team found with Group Id."), Kind.FAILED, "group_gone"),
        (answered(403, "Forbidden", "Insufficient privileges."), Kind.HOLD, "no_permission"),
        (answered(429, "TooManyRequests", "Slow down."), Kind.THROTTLED, "throttled"),
        (answered(504, "UnknownError", ""), Kind.IN_DOUBT, "in_doubt"),
    ],
)
def test_each_guest_has_an_answer_of_their_own(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """Found by the guest's id, in whatever order; what is said of the call is said of the team."""
    verdict = judge(answer)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert "{" not in verdict.message
    if verdict.hold:
        assert verdict.hold is HoldKind.PERMISSION
        assert "TeamMember.ReadWriteNonOwnerRole.All" in verdict.message


def test_what_is_said_of_the_team_ends_its_rows() -> None:
    """By its name, once for the job."""
    verdict = judge(answered(404, "NotFound", "No team found with Group Id."))
    assert verdict.whole_target
    assert "“Group 1”" in verdict.message


def test_a_call_that_is_refused_for_a_reason_nobody_knows_is_taken_apart() -> None:
    """Each of its rows goes alone, and then ends by what Graph says of it."""
    odd = answered(400, "BadRequest", "Bind requests not supported.")
    assert (judge(odd).kind, judge(odd).apart) == (Kind.AGAIN, True)
    assert judge(odd, rows=1).kind is Kind.FAILED


def test_a_guest_of_whom_nothing_is_ever_said_ends() -> None:
    """After some tries, each of which looks among the members first; a call that is lost as a whole
    is another thing.
    """
    call = Call(GraphRequest("0", "POST", "/x"), (0, 1))
    for tried, answer, kind in (
        (4, partly(part(1)), Kind.IN_DOUBT),
        (5, partly(part(1)), Kind.FAILED),
        (9, answered(504, "UnknownError", ""), Kind.IN_DOUBT),
        (9, GraphAnswer(Fate.LOST), Kind.IN_DOUBT),
    ):
        verdict = TEAMS.judge(asked(0, tried=tried), call, answer)
        assert verdict.kind is kind
        assert ("“Group 1”" in verdict.message) == (kind is Kind.FAILED)
