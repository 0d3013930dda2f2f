"""A 403 of a protected guest ends the row; a missing permission holds the channel; never the other
way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import pytest

from worker.graph.causes import HoldKind, Kind, OperationRules, Rule, Verdict
from worker.operations.forbidden import blame


class Own(StrEnum):
    """Of a made-up operation."""

    PROTECTED = "protected"


RULES = OperationRules(
    verb="change users",
    permission="User.ReadUpdate.All",
    also=frozenset({"User.ReadWrite.All"}),
    rules={Own.PROTECTED: Rule(Kind.FAILED, "This guest holds a role.")},
    protected=Own.PROTECTED,
)
DONE = Verdict(Kind.DONE)
FAILED = Verdict(Kind.FAILED, "refused")
FORBIDDEN = Verdict(Kind.HOLD, "Authorization_RequestDenied", "May not.", hold=HoldKind.PERMISSION)
HAS, MORE, LACKS = frozenset({"User.ReadUpdate.All"}), frozenset({"User.ReadWrite.All"}), frozenset({"User.Read.All"})


@pytest.mark.parametrize(
    ("roles", "verdicts", "held"),
    [
        (LACKS, [FORBIDDEN], True),
        (LACKS, [FORBIDDEN, DONE], True),
        (HAS, [FORBIDDEN], False),
        (MORE, [FORBIDDEN], False),
        (HAS, [FORBIDDEN, FORBIDDEN, FAILED], False),
        (HAS, [FORBIDDEN] * 3, True),
        (HAS, [*[FORBIDDEN] * 3, DONE], False),
        (None, [FORBIDDEN], False),
        (None, [FORBIDDEN] * 20, True),
    ],
)
def test_a_403_is_the_rows_or_the_channels(
    roles: frozenset[str] | None, verdicts: Sequence[Verdict], *, held: bool
) -> None:
    """By what the token may do, and by how many rows in a row meet it."""
    blamed = blame(RULES, verdicts, roles)
    assert len(blamed) == len(verdicts)
    assert [v for v, b in zip(verdicts, blamed, strict=True) if v is not FORBIDDEN and v is not b] == []
    forbidden = [b for v, b in zip(verdicts, blamed, strict=True) if v is FORBIDDEN]
    assert {b.kind for b in forbidden} == {Kind.HOLD if held else Kind.FAILED}
    if not held:
        assert {(b.hold, b.message, b.cause) for b in forbidden} == {(None, "This guest holds a role.", "protected")}
        assert {b.code for b in forbidden} == {"Authorization_RequestDenied"}


def test_an_operation_that_knows_no_protected_guests_is_left_alone() -> None:
    """Its 403 is what its own rules say."""
    assert blame(OperationRules(verb="x", permission="Y"), [FORBIDDEN], frozenset({"Y"})) == [FORBIDDEN]


GROUP = OperationRules(
    verb="add guests",
    permission="GroupMember.ReadWrite.All",
    rules={Own.PROTECTED: Rule(Kind.FAILED, "This group can be given roles.", whole_target=True)},
    protected=Own.PROTECTED,
)


@pytest.mark.parametrize(
    ("roles", "held"), [(frozenset({"GroupMember.ReadWrite.All"}), False), (frozenset({"User.Read.All"}), True)]
)
def test_a_403_of_all_rows_of_a_call_is_the_targets_where_the_token_has_the_right(
    roles: frozenset[str], *, held: bool
) -> None:
    """They share one call, so their number says nothing; a token that shows nothing holds."""
    blamed = blame(GROUP, [FORBIDDEN] * 20, roles)
    assert {(b.kind, b.whole_target) for b in blamed} == {(Kind.HOLD, False) if held else (Kind.FAILED, True)}
    assert {b.kind for b in blame(GROUP, [FORBIDDEN], None)} == {Kind.HOLD}
