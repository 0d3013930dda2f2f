"""Guests are disabled and enabled, and nobody else is; doing it again does nothing."""

from __future__ import annotations

import pytest

from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.accounts.enabling import Disable, Enable
from worker.operations.forbidden import blame
from worker.operations.foreseen import Seen, Would
from worker.operations.operation import Asked, Look
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import TenantRules

GUEST = "11111111-1111-1111-1111-111111111111"
ROW = {"email": "ann@partner.example"}
DISABLE, ENABLE = Disable(), Enable()


def user(creation: str | None = "Invitation", *, member: bool = False, enabled: bool = True) -> DirectoryUser:
    """Return a user as the look-up shows them."""
    return DirectoryUser(GUEST, None, member, enabled=enabled, more={"creationType": creation})


@pytest.mark.parametrize(("operation", "enabled"), [(DISABLE, False), (ENABLE, True)])
def test_one_property_is_written(operation: Disable | Enable, enabled: bool) -> None:
    """Nothing else of the guest changes."""
    (call,) = operation.build([Asked(3, ROW, user())], build_connection(), Options())
    assert call.request == GraphRequest("3", "PATCH", f"/users/{GUEST}", {"accountEnabled": enabled})


@pytest.mark.parametrize("operation", [DISABLE, ENABLE])
@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (user(member=True), "own_member"),
        (user(None, member=True), "own_member"),
        (user(None), "not_invited"),
        (user("LocalAccount"), "not_invited"),
        (None, "not_there"),
        (user(), ""),
    ],
)
def test_only_guests_who_came_by_invitation_are_touched(
    operation: Disable | Enable, seen: DirectoryUser | None, code: str
) -> None:
    """Whatever a row says: not even one that asks for a member."""
    for row in (ROW, ROW | {"user_type": "Member"}, ROW | {"new": True}):
        outcome = operation.judge_seen(Asked(0, row, seen), Options())
        assert (outcome.code if outcome else "") == code
        assert outcome is None or outcome.letter is RowState.FAILED


async def test_who_is_so_already_is_left() -> None:
    """After a try whose answer was lost it was that try's doing; not after one that was refused."""
    off, on = user(enabled=False), user()
    lost = Asked(2, ROW, off, tried=1, unsure=True)
    rows = [Asked(0, ROW, off), Asked(1, ROW, on), lost, Asked(3, ROW, off, tried=1)]
    asking = Asking(lambda request: found())
    ended = await DISABLE.compare(asking, rows, build_connection(), Options())
    assert len(asking.disabled.noted) == 1, "of the try's guest alone"
    letters = {i: one.letter for i, one in ended.items() if isinstance(one, Outcome)}
    assert letters == {0: RowState.ALREADY, 2: RowState.DONE, 3: RowState.ALREADY}
    ended = await ENABLE.compare(Asking(lambda request: found()), rows, build_connection(), Options())
    assert list(ended) == [1]


def verdict(answer: GraphAnswer) -> Verdict:
    """Judge an answer to a row."""
    asked = Asked(0, ROW, user())
    (call,) = DISABLE.build([asked], build_connection(), Options())
    return DISABLE.judge(asked, call, answer)


def test_answers() -> None:
    """Each refusal ends the row or holds the channel, with a sentence; nothing is in doubt for
    good.
    """
    assert verdict(GraphAnswer(Fate.ANSWERED, 204, {}, None)).kind is Kind.DONE
    gone = verdict(answered(404, "Request_ResourceNotFound", "Resource does not exist."))
    assert (gone.kind, gone.cause) == (Kind.FAILED, "not_there")
    synced = verdict(answered(400, "Request_BadRequest", "Unable to update on-premises mastered objects."))
    assert (synced.kind, synced.cause) == (Kind.FAILED, "synced_user")
    denied = verdict(answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."))
    assert (denied.kind, denied.hold) == (Kind.HOLD, HoldKind.PERMISSION)
    assert "User.EnableDisableAccount.All" in denied.message


def test_a_403_is_the_rows_where_the_permission_is_there() -> None:
    """Unless three in a row meet it and nobody gets through."""
    denied = verdict(answered(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."))
    done = verdict(GraphAnswer(Fate.ANSWERED, 204, {}, None))
    roles = frozenset({"User.EnableDisableAccount.All"})
    kinds = [one.kind for one in blame(DISABLE.rules, [denied, done], roles)]
    assert kinds == [Kind.FAILED, Kind.DONE]
    assert {one.kind for one in blame(DISABLE.rules, [denied] * 3, roles)} == {Kind.HOLD}
    assert [one.kind for one in blame(DISABLE.rules, [denied, done], frozenset())] == [Kind.HOLD, Kind.DONE]


def test_no_invitation_asks_for_it() -> None:
    """A person does, by a job of its own; whom nobody can look up is not sent."""
    for operation in (DISABLE, ENABLE):
        assert operation.alone
        assert operation.guarded
        assert operation.repeatable
        assert not find_operation("invite").leads_to(operation)
        assert operation.look(build_connection(), Options(), suspect=False) is Look.MUST


def test_a_dry_run_says_what_would_be_done() -> None:
    """By what the look-up shows; whom nobody could look up would be refused."""
    rules = TenantRules(roles=frozenset({"User.EnableDisableAccount.All"}))
    told = [
        DISABLE.foresee(ROW, "a@b.example", seen, rules).would
        for seen in (Seen(user=user()), Seen(user=user(enabled=False)), Seen(looked_up=False))
    ]
    assert told == [Would.DO, Would.SKIP, Would.REFUSE]
    lacking = DISABLE.foresee(ROW, "a@b.example", Seen(user=user()), TenantRules(roles=frozenset()))
    assert lacking.code == "no_permission"
