"""Guests are deleted and restored; doing it again does nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.configs import build_connection
from tests.standins import answered
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import Kind, Verdict
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.accounts.base import Account
from worker.operations.accounts.binning import Delete, Restore
from worker.operations.foreseen import Seen, Would
from worker.operations.operation import Asked
from worker.operations.tenant_rules import TenantRules

GUEST = "11111111-1111-1111-1111-111111111111"
ROW = {"email": "ann@partner.example"}
DELETE, RESTORE = Delete(), Restore()
THERE = DirectoryUser(GUEST, None, False, True, more={"creationType": "Invitation"})
BINNED = replace(THERE, deleted=True, deleted_at=datetime(2026, 11, 1, 8, tzinfo=UTC))
UNTIL = "Can be restored until 2026-12-01."


def test_the_requests_name_the_user_alone() -> None:
    """A DELETE with anything behind the id would be about something else, and the bin has its own
    path.
    """
    (call,) = DELETE.build([Asked(3, ROW, THERE)], build_connection(), Options())
    assert call.request == GraphRequest("3", "DELETE", f"/users/{GUEST}")
    (call,) = RESTORE.build([Asked(3, ROW, BINNED)], build_connection(), Options())
    assert call.request == GraphRequest("3", "POST", f"/directory/deletedItems/{GUEST}/restore", {})


def test_each_undoes_what_can_be_undone() -> None:
    """Both look into the bin, spare role holders, and are no stage of an invitation."""
    assert (DELETE.undone_by, RESTORE.undone_by) == ("restore", "")
    for operation in (DELETE, RESTORE):
        assert (operation.alone, operation.guarded, operation.repeatable, operation.looks_in_bin) == (True,) * 4
    assert DELETE.tell_done(1_764_576_000_000) == "Can be restored until 2025-12-31."


@pytest.mark.parametrize(
    ("operation", "so", "other", "told"), [(DELETE, BINNED, THERE, UNTIL), (RESTORE, THERE, BINNED, "")]
)
async def test_who_is_so_already_is_left(
    operation: Account, so: DirectoryUser, other: DirectoryUser, told: str
) -> None:
    """After a try whose answer was lost it was that try's doing, not after one that was refused;
    what is remembered of them goes with those whom usher deleted.
    """
    lost = Asked(2, ROW, so, tried=1, unsure=True)
    rows = [Asked(0, ROW, so), Asked(1, ROW, other), lost, Asked(3, ROW, so, tried=1)]
    asking = Asking(lambda request: found())
    ended = await operation.compare(asking, rows, build_connection(), Options())
    letters = {i: (one.letter, one.message) for i, one in ended.items() if isinstance(one, Outcome)}
    assert letters == {0: (RowState.ALREADY, told), 2: (RowState.DONE, told), 3: (RowState.ALREADY, told)}
    assert asking.disabled.dropped == ([GUEST] if operation is DELETE else [])


@pytest.mark.parametrize("operation", [DELETE, RESTORE])
@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (None, "not_there"),
        (replace(BINNED, member=True), "own_member"),
        (replace(THERE, member=True), "own_member"),
        (replace(BINNED, more={}), "not_invited"),
        (BINNED, ""),
        (THERE, ""),
    ],
)
def test_only_guests_who_came_by_invitation_are_touched(
    operation: Account, seen: DirectoryUser | None, code: str
) -> None:
    """In the directory and in the bin."""
    outcome = operation.judge_seen(Asked(0, ROW, seen), Options())
    assert (outcome.code if outcome else "") == code


def verdict(operation: Account, answer: GraphAnswer, tried: int = 0) -> Verdict:
    """Judge an answer to a row."""
    asked = Asked(0, ROW, THERE, tried=tried)
    (call,) = operation.build([asked], build_connection(), Options())
    return operation.judge(asked, call, answer)


@pytest.mark.parametrize("operation", [DELETE, RESTORE])
def test_a_guest_who_is_somewhere_else_by_now_is_looked_for_again(operation: Account) -> None:
    """A few times; then the row ends."""
    gone = answered(404, "Request_ResourceNotFound", "Resource does not exist.")
    later = verdict(operation, gone)
    assert (later.kind, later.retry_after_s) == (Kind.LATER, 2.0)
    assert verdict(operation, gone, tried=9).kind is Kind.FAILED


def test_answers() -> None:
    """A success has a body or none; a name that is taken ends a restore with Microsoft's words."""
    assert verdict(DELETE, GraphAnswer(Fate.ANSWERED, 204, {}, None)).kind is Kind.DONE
    assert verdict(RESTORE, GraphAnswer(Fate.ANSWERED, 200, {}, {"id": GUEST})).kind is Kind.DONE
    taken = verdict(RESTORE, answered(400, "Request_BadRequest", "Conflicting object with proxy address."))
    assert (taken.kind, taken.cause) == (Kind.FAILED, "address_taken")
    assert "Conflicting object" in taken.message
    assert verdict(DELETE, answered(403, "Authorization_RequestDenied", "Insufficient privileges.")).kind is Kind.HOLD


def test_a_dry_run_says_what_would_be_done() -> None:
    """And until when whoever is deleted already can be restored."""
    rules = TenantRules(roles=frozenset({"User.DeleteRestore.All"}))
    told = DELETE.foresee(ROW, "a@b.example", Seen(user=BINNED), rules)
    assert (told.would, told.why) == (Would.SKIP, f"Deleted already. {UNTIL}")
    assert DELETE.foresee(ROW, "a@b.example", Seen(user=THERE), rules).would is Would.DO
    assert RESTORE.foresee(ROW, "a@b.example", Seen(user=BINNED), rules).would is Would.DO
    assert RESTORE.foresee(ROW, "a@b.example", Seen(user=THERE), rules).would is Would.SKIP
