"""Whoever is new in a list is invited; of everybody else it is looked whether they are still the
list's, and nobody who is there is ever invited.
"""

from __future__ import annotations

import io
from typing import Any

import pytest

from tasks.asked_stages import find_asked, find_stages
from tasks.lists.guest_list import GuestList
from tasks.rows.fields import FIELDS
from tasks.rows.row import BadRow, ValidRow, validate_record
from tests.configs import build_connection
from tests.unit.worker.operations.asking import Asking, found
from worker.graph.users import DirectoryUser
from worker.ledger.model import KnownRow, Options, Outcome, RowState
from worker.operations.accounts.enabling import Disable, Enable
from worker.operations.foreseen import Seen, Would
from worker.operations.operation import Asked, Look
from worker.operations.sync.sync import Sync
from worker.operations.tenant_rules import TenantRules

GUEST = "11111111-1111-1111-1111-111111111111"
NEW = {"email": "ann@partner.example", "source": "crm"}
MOVER = {**NEW, "user_id": GUEST, "company": "Partner"}
LEAVER = {**NEW, "user_id": GUEST, "source": "crm left", "then": "disable", "send_message": False}
SYNC, CONNECTION = Sync(), build_connection()


def user(mark: str | None, *, member: bool = False, enabled: bool = True) -> DirectoryUser:
    """Return a guest as the look-up shows them, with the mark of a list."""
    more = {"onPremisesExtensionAttributes": {"extensionAttribute11": mark}, "creationType": "Invitation"}
    return DirectoryUser(GUEST, None, member, enabled=enabled, more=more)


async def end(row: dict[str, Any], seen: DirectoryUser | None) -> Outcome | None:
    """Return how a row ends before anything is sent; None: it is sent."""
    ended = SYNC.judge_seen(Asked(0, row, seen), Options())
    if ended is None:
        compared = await SYNC.compare(Asking(lambda request: found()), [Asked(0, row, seen)], CONNECTION, Options())
        assert all(isinstance(one, Outcome) for one in compared.values())
        ended = compared.get(0)  # type: ignore[assignment]  # looked at above
    return ended


async def test_only_who_is_not_there_is_invited() -> None:
    """Whatever the row of one who is there says: not even where the look-up finds nobody, or tells
    nothing.
    """
    assert await end(NEW, None) is None
    for row in (MOVER, LEAVER, {**MOVER, "then": "enable"}):
        for seen in (user("crm"), user(None), user("hr"), user("crm", member=True), None):
            ended = await end(row, seen)
            assert ended is not None
            assert ended.letter is not RowState.DONE
        compared = await SYNC.compare(Asking(lambda request: found()), [Asked(0, row)], CONNECTION, Options())
        assert [one.letter for one in compared.values() if isinstance(one, Outcome)] == [RowState.FAILED]
    assert SYNC.look(CONNECTION, Options(resend=True), suspect=False) is Look.MUST


@pytest.mark.parametrize(
    ("row", "mark", "letter"),
    [
        (MOVER, "crm", RowState.ALREADY),
        (MOVER, None, RowState.ALREADY),  # taken in (--adopt)
        (MOVER, "crm left", RowState.ALREADY),
        (MOVER, "hr left", RowState.ALREADY),
        (MOVER, "hr", RowState.SKIPPED),
        (MOVER, "Project X", RowState.SKIPPED),
        (LEAVER, "crm", RowState.ALREADY),
        (LEAVER, "crm left", RowState.ALREADY),
        (LEAVER, None, RowState.SKIPPED),
        (LEAVER, "hr", RowState.SKIPPED),
        (LEAVER, "hr left", RowState.SKIPPED),
        ({**LEAVER, "source": ""}, "crm", RowState.SKIPPED),
    ],
)
async def test_only_the_lists_own_guests_go_on(row: dict[str, Any], mark: str | None, letter: RowState) -> None:
    """As the tenant has them just before: nobody without the list's mark is ever taken away."""
    ended = await end(row, user(mark))
    assert ended is not None
    assert ended.letter is letter
    assert ended.user_id == GUEST


def test_rows_ask_for_what_they_say() -> None:
    """A leaver for nothing but being disabled, a returner for being enabled beside what differs;
    the mark is asked for by all others.
    """
    stages = find_stages(CONNECTION, SYNC)
    assert {"profile", "sponsors", "groups", "teams", "disable", "enable"} <= {stage.name for stage in stages}
    assert {"delete", "remind", "reset"}.isdisjoint(stage.name for stage in stages)
    assert find_asked(stages, LEAVER, Options()) == {"disable": ("",)}
    assert find_asked(stages, NEW, Options()) == {"profile": ("",)}
    returner = {**MOVER, "then": "enable", "groups": ["G"]}
    assert find_asked(stages, returner, Options()) == {"profile": ("",), "groups": ("G",), "enable": ("",)}


def test_domains_and_the_memory_of_invitations_count_for_those_who_come() -> None:
    """Not for who is there: a leaver of a domain that is not allowed any more leaves too."""
    assert SYNC.brings(NEW)
    assert not SYNC.brings(MOVER)
    assert not SYNC.brings(LEAVER)
    assert SYNC.find_guarded([NEW, MOVER, LEAVER], range(3)) == [1, 2]
    assert SYNC.judge_known(KnownRow(0, 1, "abc"), 1).letter is RowState.SKIPPED
    assert SYNC.foresee(LEAVER, "ann@partner.example", Seen(), TenantRules()).would is Would.DO


@pytest.mark.parametrize(("operation", "wanted"), [(Disable(), "crm left"), (Enable(), "crm")])
def test_the_mark_is_written_with_the_account(operation: Disable | Enable, wanted: str) -> None:
    """In one request, so that a guest who was disabled by the list is known as such; never over
    another list's.
    """
    there = {"crm left": "crm", "crm": "crm left"}[wanted]
    item = {"email": "ann@partner.example", "user_id": GUEST, "source": wanted}
    assert "source" in operation.columns
    (call,) = operation.build([Asked(0, item, user(there))], CONNECTION, Options())
    assert call.request.body == {
        "accountEnabled": operation.enabled,
        "onPremisesExtensionAttributes": {"extensionAttribute11": wanted},
    }
    for mark in ("hr", wanted):
        (call,) = operation.build([Asked(0, item, user(mark))], CONNECTION, Options())
        assert call.request.body == {"accountEnabled": operation.enabled}


@pytest.mark.parametrize("field", ["source", "user_id", "then", "leave_groups"])
def test_what_only_a_comparison_says_comes_with_no_list_and_no_message(field: str) -> None:
    """Nobody marks, or takes away, a guest by a column."""
    assert field not in FIELDS
    refused = validate_record({"email": "ann@partner.example", field: "crm"}, 1)
    assert isinstance(refused, BadRow)
    text = f'{{"email": "ann@partner.example", "{field}": "crm"}}\n'
    rows = GuestList(io.BytesIO(text.encode()), "crm.jsonl", path="crm.jsonl").rows()
    assert [row.row for row in rows if isinstance(row, ValidRow)] == [{"email": "ann@partner.example"}]
