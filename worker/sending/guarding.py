"""Before rows of a guarded operation are sent, those end whose guests are in the role guard; where
nobody can tell who is, the channel is held and nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.model import Outcome, RowState

if TYPE_CHECKING:
    from worker.directory.role_guard import RoleGuard
    from worker.graph.users import DirectoryUser

ROLE_HOLDER = "role_holder"
WHY_SPARED = (
    "This guest holds, or may take, a directory role, or is a member or owner of a group that can be given one, and"
    " usher never touches such people: an administrator changes them in the Entra admin center."
)


def cannot_tell(guard: RoleGuard) -> Verdict:
    """Say that nobody knows whom to spare."""
    hold = HoldKind.PERMISSION if guard.permission else HoldKind.TENANT
    return Verdict(
        Kind.HOLD,
        "role_guard_unread",
        f"{guard.unread} usher goes on by itself then.",
        hold=hold,
        cause="role_guard_unread",
    )


def end_guarded(
    guard: RoleGuard, pending: Sequence[int], users: Mapping[int, DirectoryUser], at_ms: int
) -> list[Outcome]:
    """End the rows of those who are in the guard."""
    return [
        Outcome(i, RowState.FAILED, user_id=users[i].id, code=ROLE_HOLDER, message=WHY_SPARED, at_ms=at_ms)
        for i in pending
        if i in users and guard.has(users[i].id)
    ]
