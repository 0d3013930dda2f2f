"""Two tables say what Graph's refusals mean where a guest is given another address and reset. Pure.

The address goes first, by a request that may be repeated; the reset follows.
https://learn.microsoft.com/graph/api/user-update
https://learn.microsoft.com/entra/external-id/reset-redemption-status
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from worker.graph.causes import Cause, Kind, Rule
from worker.graph.patterns import wording
from worker.operations.again.reset_rules import RESET
from worker.operations.step import PROTECTED, PROTECTED_GUEST, SYNCED, SYNCED_GUEST, read_changed


class MoveCause(StrEnum):
    """The causes for which Graph writes no new address, in our words."""

    IN_USE = "address_in_use"
    SYNCED = SYNCED
    PROTECTED = PROTECTED
    GONE = "not_there"


MOVE = replace(
    RESET,
    verb="move guests to other addresses",
    without="no guest can be moved",
    protected=MoveCause.PROTECTED,
    rules={**RESET.rules, MoveCause.PROTECTED: PROTECTED_GUEST},
)
"""Of the reset."""

ADDRESS = replace(
    MOVE,
    read_done=read_changed,
    unsure="usher writes it again, which does no harm.",
    rules={
        MoveCause.PROTECTED: PROTECTED_GUEST,
        MoveCause.IN_USE: Rule(
            Kind.FAILED,
            "Somebody else in this tenant has the new address (a user, a group or a contact), so nothing was changed:"
            " an administrator looks who has it.",
        ),
        MoveCause.SYNCED: SYNCED_GUEST,
        MoveCause.GONE: Rule(Kind.FAILED, "This guest was deleted from the tenant a moment ago: nothing was changed."),
    },
    patterns=(
        wording(MoveCause.SYNCED, r"on-premises mastered", r"directory sync objects"),
        wording(MoveCause.IN_USE, r"same value for property"),
    ),
    statuses={403: Cause.NO_PERMISSION, 404: MoveCause.GONE},
)
"""Of the new address."""
