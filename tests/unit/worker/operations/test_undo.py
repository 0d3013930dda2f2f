"""What a job did is undone where a guest is as it left them; Undo itself only looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.configs import build_connection
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.users import DirectoryUser
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.accounts.undo import Undo
from worker.operations.foreseen import Seen, Would
from worker.operations.operation import Asked, find_targets
from worker.operations.registry import OPERATIONS
from worker.operations.row_fields import DID, THEN, WHY
from worker.operations.tenant_rules import TenantRules

GUEST = "11111111-1111-1111-1111-111111111111"
UNDO = Undo()
OFF = DirectoryUser(GUEST, None, False, False, more={"creationType": "Invitation"})
ON = replace(OFF, enabled=True)
DELETED_AT = datetime(2026, 11, 1, tzinfo=UTC)
BINNED = replace(OFF, deleted=True, deleted_at=DELETED_AT)
MEMBER = replace(OFF, member=True)


def row(then: Any, **more: Any) -> dict[str, Any]:
    """Return a row of a job that is undone."""
    return {"email": "ann@partner.example", "user_id": GUEST, THEN: then, **more}


@pytest.mark.parametrize(
    ("then", "seen", "end"),
    [
        ("enable", OFF, None),
        ("enable", ON, (RowState.SKIPPED, "as_before")),
        ("enable", BINNED, (RowState.FAILED, "deleted_since")),
        ("enable", None, (RowState.FAILED, "purged")),
        ("enable", MEMBER, (RowState.FAILED, "own_member")),
        ("restore", BINNED, None),
        ("restore", OFF, (RowState.SKIPPED, "as_before")),
        ("restore", None, (RowState.FAILED, "purged")),
        (["enable"], OFF, None),
        (["enable", "restore"], OFF, None),
        ("", OFF, (RowState.FAILED, "not_undone")),
        ("delete", OFF, (RowState.FAILED, "not_undone")),
    ],
)
def test_how_a_row_ends(then: object, seen: DirectoryUser | None, end: tuple[RowState, str] | None) -> None:
    """Nobody is brought back who is as before; nothing is done by a name that undoes nothing."""
    outcome = UNDO.judge_seen(Asked(0, row(then, **{WHY: "invited"}), seen), Options())
    assert (outcome and (outcome.letter, outcome.code)) == end


@pytest.mark.parametrize(("seen", "code"), [(replace(OFF, more={}), "not_invited"), (OFF, "")])
def test_an_account_that_came_otherwise_is_left_unless_the_job_had_chosen_it(seen: DirectoryUser, code: str) -> None:
    """A row says that it had."""
    outcome = UNDO.judge_seen(Asked(0, row("enable"), seen), Options())
    assert (outcome.code if outcome else "") == code
    assert UNDO.judge_seen(Asked(0, row("enable", internal=True), seen), Options()) is None


async def test_whoever_is_left_goes_on_to_what_undoes_it() -> None:
    """And to nothing else; of whom nobody could tell the row ends."""
    asked = [Asked(0, row("enable"), OFF), Asked(1, row("restore"))]
    ended = await UNDO.compare(Asking(lambda request: found()), asked, build_connection(), Options())
    letters = [(one.letter, one.user_id) for one in ended.values() if isinstance(one, Outcome)]
    assert letters == [(RowState.DONE, GUEST), (RowState.FAILED, "")]
    led = [name for name, operation in OPERATIONS.items() if UNDO.leads_to(operation)]
    assert led == ["enable", "restore"]
    assert [name for name in led if find_targets(OPERATIONS[name], row("enable"), Options())] == ["enable"]


@pytest.mark.parametrize(
    ("then", "seen", "did", "by", "again"),
    [
        ("enable", OFF, "a", "a", False),
        ("enable", OFF, "a", "b", True),
        ("enable", OFF, "a", "", False),  # forgotten, or deleted and restored
        ("restore", BINNED, f"a {DELETED_AT.isoformat()}", "", False),
        ("restore", BINNED, f"a {(DELETED_AT - timedelta(hours=1)).isoformat()}", "", True),
        ("restore", BINNED, f"a {(DELETED_AT + timedelta(hours=1)).isoformat()}", "b", False),
        ("restore", BINNED, "a", "", False),  # a stage
    ],
)
async def test_what_was_done_again_since_is_not_undone(
    then: str, seen: DirectoryUser, did: str, by: str, again: bool
) -> None:
    """By another job, which had its own reason."""
    ask = Asking(lambda request: found())
    ask.disabled.jobs = {GUEST: by} if by else {}
    ended = await UNDO.compare(ask, [Asked(0, row(then, **{DID: did}), seen)], build_connection(), Options())
    one = ended[0]
    assert isinstance(one, Outcome)
    assert (one.letter, one.code) == ((RowState.SKIPPED, "done_again") if again else (RowState.DONE, ""))


def test_each_operation_that_undoes_is_known() -> None:
    """Whatever names another as what undoes it can be undone."""
    named = {operation.undone_by for operation in OPERATIONS.values() if operation.undone_by}
    assert named == {name for name, operation in OPERATIONS.items() if UNDO.leads_to(operation)}


def test_a_dry_run_tells_the_right_that_what_undoes_it_lacks() -> None:
    """Though Undo itself only reads."""
    roles = frozenset({"User.Read.All", "User.EnableDisableAccount.All"})
    rules = TenantRules(roles=roles)
    assert UNDO.foresee(row("enable"), "a@b.example", Seen(user=OFF), rules).would is Would.DO
    refused = UNDO.foresee(row("restore"), "a@b.example", Seen(user=BINNED), rules)
    assert (refused.would, "User.DeleteRestore.All" in refused.why) == (Would.REFUSE, True)
    assert UNDO.foresee(row("restore"), "a@b.example", Seen(looked_up=False), rules).would is Would.REFUSE
