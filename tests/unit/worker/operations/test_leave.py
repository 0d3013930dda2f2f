"""Guests are taken out of groups, each by a write that can delete nothing but the membership."""

from __future__ import annotations

from typing import Any

import pytest

from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind
from worker.ledger.job_targets import Target, TargetKind
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.members.group_members import MOST_MEMBERS
from worker.operations.members.leave import Leave
from worker.operations.operation import Asked

CONNECTION = build_connection()
LEAVE = Leave()
GROUP = "aaaaaaaa-0000-4000-8000-000000000001"


def guest(number: int) -> str:
    """Return an object id."""
    return f"00000000-0000-4000-8000-{number:012d}"


def asked(index: int, *, refused: str = "", **more: Any) -> Asked:
    """Return an item of a guest who is there."""
    item = {"email": f"g{index}@partner.example", "user_id": guest(index), "target": "Old"}
    return Asked(index, item, target=Target(GROUP, "Old", TargetKind.GROUP, refused, "Old"), **more)


async def compare(ask: Asking, *rows: Asked) -> dict[int, Outcome]:
    """Compare rows with a tenant."""
    outcomes = await Leave().compare(ask, rows, CONNECTION, Options())
    return {index: outcome for index, outcome in outcomes.items() if isinstance(outcome, Outcome)}


def test_only_the_reference_is_deleted() -> None:
    """One request for each guest, and none without `/$ref`, which would delete the guest."""
    calls = LEAVE.build([asked(n) for n in range(3)], CONNECTION, Options())
    assert [(call.request.method, call.request.path, call.rows) for call in calls] == [
        ("DELETE", f"/groups/{GROUP}/members/{guest(n)}/$ref", (n,)) for n in range(3)
    ]
    assert {call.request.body for call in calls} == {None}


def test_a_row_names_the_groups_to_be_left() -> None:
    """In a field of its own: what it joins is another matter."""
    assert LEAVE.targets({"email": "a@b.c", "groups": ["X"], "leave_groups": ["Y", "Z", "Y"]}, Options()) == ("Y", "Z")
    assert LEAVE.targets({"email": "a@b.c", "groups": ["X"]}, Options()) == ()


async def test_whoever_is_no_member_costs_no_write() -> None:
    """The group is read once, for guests who were just invited too; after a lost answer whoever is
    out was taken out by it.
    """
    ask = Asking(lambda request: found({"id": guest(0)}))
    outcomes = await compare(ask, asked(0), asked(1), asked(2))
    assert {index: (one.letter, one.code) for index, one in outcomes.items()} == dict.fromkeys(
        (1, 2), (RowState.ALREADY, "not_a_member")
    )
    assert len(ask.asked) == 1
    outcomes = await compare(ask, asked(0, tried=1), asked(1, tried=1))
    assert {index: one.letter for index, one in outcomes.items()} == {1: RowState.DONE}


@pytest.mark.parametrize("large", [False, True])
async def test_where_members_may_not_be_read_everybody_is_sent(large: bool) -> None:
    """Nobody is taken for no member whom nobody could look up: Graph says who is none."""
    members = [{"id": guest(1000 + n)} for n in range(MOST_MEMBERS)]
    page = f"{CONNECTION.graph_url}/groups/{GROUP}/members?$skiptoken=2"

    def answer(request: GraphRequest) -> GraphAnswer:
        if large and request.method == "GET":
            return found(*members, **{"@odata.nextLink": page})
        return answered(403, "Authorization_RequestDenied", "No.")

    assert await compare(Asking(answer), asked(0), asked(1)) == {}


async def test_a_refused_group_ends_its_rows_unsent() -> None:
    """With the sentence that was found out before."""
    outcomes = await compare(Asking(lambda request: found()), asked(0, refused="A rule decides."))
    assert (outcomes[0].letter, outcomes[0].message) == (RowState.FAILED, "A rule decides.")


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (answered(204), Kind.DONE, ""),
        (
            answered(404, "Request_ResourceNotFound", f"Resource '{guest(0)}' does not exist or one of its queried …"),
            Kind.ALREADY,
            "not_a_member",
        ),
        (answered(400, "Request_BadRequest", "… on-premises mastered Directory Sync …"), Kind.FAILED, "synced_group"),
        (answered(400, "Request_BadRequest", "… dynamic membership."), Kind.FAILED, "dynamic_group"),
        (answered(400, "Request_BadRequest", "a mail-enabled security groups"), Kind.FAILED, "mail_enabled_group"),
        (
            answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
            Kind.HOLD,
            "no_permission",
        ),
        (answered(504, "UnknownError", ""), Kind.IN_DOUBT, "in_doubt"),
        (GraphAnswer(Fate.LOST), Kind.IN_DOUBT, "in_doubt"),
    ],
)
def test_what_graph_says(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """It ends the row with a sentence that names the group, or holds this step alone."""
    (call,) = LEAVE.build([asked(0)], CONNECTION, Options())
    verdict = LEAVE.judge(asked(0), call, answer)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert "{" not in verdict.message
    if kind is Kind.FAILED:
        assert "“Old”" in verdict.message
        assert verdict.whole_target
    if kind is Kind.HOLD:
        assert verdict.hold is HoldKind.PERMISSION
        assert "GroupMember.ReadWrite.All" in verdict.message
