"""Guests who are there are brought to what a list says of them, and nobody else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.configs import build_connection
from tests.standins import answered
from worker.graph.batch import GraphAnswer
from worker.graph.causes import Kind
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.changes.update import Update
from worker.operations.operation import Asked
from worker.operations.registry import OPERATIONS
from worker.operations.stages import Chain

GUEST = "11111111-1111-1111-1111-111111111111"
UPDATE = Update()
ROW = {"email": "ann@partner.example", "company": "Partner", "first_name": "Ann", "groups": ["IT"]}


def user(*, member: bool = False, **more: Any) -> DirectoryUser:
    """Return somebody as the look-up shows them."""
    return DirectoryUser(GUEST, None, member, enabled=True, more=more)


def seen(somebody: DirectoryUser | None) -> Outcome | None:
    """Return how a row ends by the look-up."""
    return UPDATE.judge_seen(Asked(0, ROW, somebody), Options())


def test_one_write_holds_what_differs() -> None:
    """Nothing that is so already, and nothing that the row leaves empty."""
    (call,) = UPDATE.build([Asked(0, ROW, user(companyName="Old", givenName="Ann"))], build_connection(), Options())
    assert (call.request.method, call.request.path) == ("PATCH", f"/users/{GUEST}")
    assert call.request.body == {"companyName": "Partner"}


def test_only_guests_who_are_there_are_updated() -> None:
    """Whoever is not, or is a member, ends the row; nobody is invited for it."""
    nobody, member = seen(None), seen(user(member=True))
    assert nobody
    assert member
    assert (nobody.letter, nobody.code, member.letter, member.code) == (
        *(RowState.FAILED, "not_there"),
        *(RowState.FAILED, "own_member"),
    )
    assert "invite" not in nobody.message
    assert seen(user()) is None


def test_what_may_follow_is_what_a_row_names() -> None:
    """Sponsors, groups and teams: no second profile, no mail, nothing of what changes accounts."""
    followed = {name for name, stage in OPERATIONS.items() if UPDATE.leads_to(stage)}
    assert followed >= {"sponsors", "groups", "teams"}
    assert followed.isdisjoint({"invite", "profile", "mail", "disable", "enable", "remind", "reset", "update"})
    assert not OPERATIONS["invite"].leads_to(UPDATE)
    assert UPDATE.targets(ROW, Options()) == ()


def test_a_guest_who_was_updated_is_not_taken_for_a_new_one() -> None:
    """What follows reads whether they are a member already, and waits for no directory."""
    for invites in (True, False):
        chain = Chain.of("root", 0, 1, Options(), ("groups",), invites=invites)
        told = chain.tell([ROW], [Outcome(0, RowState.DONE, user_id=GUEST, at_ms=1)])
        assert (b'\\"new\\":true' in told) is invites
    assert (UPDATE.invites, OPERATIONS["invite"].invites, OPERATIONS["reset"].invites) == (False, True, True)


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (answered(204), Kind.DONE, ""),
        (
            answered(
                404,
                "Request_ResourceNotFound",
                f"Resource '{GUEST}' does not exist or one of its queried reference-property objects are not present.",
            ),
            Kind.FAILED,
            "not_there",
        ),
        (answered(400, "Request_BadRequest", "… on-premises mastered Directory Sync …"), Kind.FAILED, "synced_user"),
        (answered(403, "Authorization_RequestDenied", "Insufficient privileges …"), Kind.HOLD, "no_permission"),
    ],
)
def test_what_graph_says(answer: GraphAnswer, kind: Kind, cause: str) -> None:
    """A guest who is gone is waited for by nobody."""
    asked = Asked(0, ROW, user())
    (call,) = UPDATE.build([asked], build_connection(), Options())
    verdict = UPDATE.judge(asked, call, answer)
    assert (verdict.kind, verdict.cause) == (kind, cause)
    assert "{" not in verdict.message
