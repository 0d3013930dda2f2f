"""What a clean-up has planned is judged anew by the stage that does it: it may have waited for
days since its root looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.configs import build_connection
from tests.unit.worker.operations.asking import Asking, found
from tests.unit.worker.operations.clean.test_still_due import CONNECTION, NOW, Memory, row_of, text
from worker.graph.marks import SOURCE
from worker.ledger.model import Options, Outcome, RowState
from worker.ledger.why_waiting import Stop
from worker.operations.accounts.binning import Delete
from worker.operations.accounts.enabling import Disable, Enable
from worker.operations.operation import Asked, Operation
from worker.operations.row_fields import BECAUSE, INTERNAL, SEEN

OLD = NOW - timedelta(days=31)


class Remembering(Memory):
    """Is told of nobody."""

    async def note(self, *told: object) -> None:
        """Note nothing."""

    async def drop(self, *told: object) -> None:
        """Forget nothing."""


def item(then: str, because: str, seen: float | None = None, *, ago_s: float = 3600, **user: Any) -> Asked:
    """An item of a stage, whose root looked so long ago."""
    asked = row_of(0, then, because, seen, **user)
    assert asked.user
    since_ms = round((NOW.timestamp() - ago_s) * 1000)
    is_on = bool(asked.user.more["accountEnabled"])
    return replace(asked, row={**asked.row, "since": since_ms}, user=replace(asked.user, enabled=is_on))


async def end(
    stage: Operation, asked: Asked, dates: Mapping[str, Any] | None = None, *, disabled: bool = True
) -> tuple[Mapping[int, Outcome | Stop], Asking]:
    """How an item ends; nothing where it leaves. `dates`: what Graph tells of the guest."""
    ask = Asking(lambda request: found({"id": "id-0", "signInActivity": dates}))
    ask.disabled = Remembering(reminded={}, disabled={"id-0": OLD} if disabled else {})
    ask.reminders = ask.disabled
    return await stage.compare(ask, [asked], CONNECTION, Options()), ask


@pytest.mark.parametrize(
    ("stage", "asked", "dates", "disabled", "words"),
    [
        (Delete(), item("delete", "disabled"), None, True, "somebody has enabled this guest"),
        (Delete(), item("delete", "disabled", accountEnabled=False), None, False, "not by usher"),
        (
            Delete(),
            item("delete", "disabled", accountEnabled=False),
            {"lastSignInDateTime": text(0.1)},
            True,
            "tried to sign in",
        ),
        (
            Disable(),
            item("disable", "inactive", 91),
            {"lastSignInDateTime": text(0.1)},
            True,
            "last attempt to sign in",
        ),
        (Disable(), item("disable", "inactive", mail="a@spared.example"), None, True, "spared by domain"),
        (Disable(), item("disable", "pending"), None, True, ""),  # accepted a year ago
    ],
)
async def test_who_is_not_due_any_more_is_left_alone(
    stage: Operation, asked: Asked, dates: dict[str, str] | None, disabled: bool, words: str
) -> None:
    """Enabled by a person, signed in, spared or accepted while the stage waited."""
    ended, _ = await end(stage, asked, dates, disabled=disabled)
    one = ended[0]
    assert isinstance(one, Outcome)
    assert (one.letter, one.user_id) == (RowState.SKIPPED, "id-0")
    assert one.message.startswith("Left alone: ")
    assert words in one.message


@pytest.mark.parametrize(
    ("stage", "asked", "dates"),
    [
        (Delete(), item("delete", "disabled", accountEnabled=False), None),
        (Disable(), item("disable", "inactive", 91), {"lastSignInDateTime": text(91)}),
        (Disable(), item("disable", "inactive"), None),
    ],
)
async def test_who_is_due_still_leaves(stage: Operation, asked: Asked, dates: dict[str, str] | None) -> None:
    """And dates are asked for once more."""
    ended, ask = await end(stage, asked, dates)
    assert ended == {}
    assert len(ask.asked) == 1


async def test_a_date_is_not_asked_for_again_at_once() -> None:
    """The root has just asked: the date by which the row was made is as good."""
    for seen in (91, None):
        ended, ask = await end(Disable(), item("disable", "inactive", seen, ago_s=60))
        assert (ended, ask.asked) == ({}, [])


async def test_a_guest_whom_nobody_could_look_up_stays() -> None:
    """A row's id alone is no look."""
    asked = item("delete", "disabled")
    ended, _ = await end(Delete(), replace(asked, user=None))
    one = ended[0]
    assert isinstance(one, Outcome)
    assert one.letter is RowState.FAILED


async def test_what_a_person_asks_for_is_done() -> None:
    """No policy has a say in it."""
    asked = item("delete", "disabled")
    bare = {name: value for name, value in asked.row.items() if name not in (BECAUSE, SEEN)}
    ended, ask = await end(Delete(), replace(asked, row=bare), disabled=False)
    assert (ended, ask.asked) == ({}, [])


@pytest.mark.parametrize(
    ("there", "left"), [("crm", False), ("crm left", False), ("other", True), (None, True), ("by hand!", True)]
)
async def test_who_is_not_the_list_s_any_more_is_not_disabled(there: str | None, left: bool) -> None:
    """Its mark is read once more."""
    connection = build_connection(sync={"source_attribute": "extensionAttribute11"})
    asked = row_of(0, "disable", "", onPremisesExtensionAttributes={"extensionAttribute11": there})
    row = {"email": asked.row["email"], SOURCE: "crm left", "since": 1}
    ended = await Disable().compare(Asking(lambda request: found()), [replace(asked, row=row)], connection, Options())
    assert [one.code for one in ended.values() if isinstance(one, Outcome)] == (["other_source"] if left else [])


def test_items_carry_what_they_are_judged_by() -> None:
    """Whatever the root's row says of it."""
    assert {BECAUSE, SEEN, INTERNAL} <= Disable().columns & Delete().columns
    assert SOURCE in Disable().columns & Enable().columns
