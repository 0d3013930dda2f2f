"""The operation `reset` lets a guest accept anew, by the same or another of the guest's addresses:
`POST /invitations` with `resetRedemption`, for the same user. Pure.

Id, groups and apps stay. A reset whose answer was lost shows in the directory where the guest had
accepted: such a guest is pending since then, or accepted still. Of one who was pending before
nobody sees it, and the row stays in doubt.
https://learn.microsoft.com/entra/external-id/reset-redemption-status
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.again.base import InviteAgain
from worker.operations.again.reset_rules import RESET
from worker.operations.invite_precheck import CLOCK_SLACK_S
from worker.operations.operation import Asked, Attempt

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.users import DirectoryUser

CHANGED = "externalUserStateChangeDateTime"
"""Since when a guest is pending, or has accepted."""


class Reset(InviteAgain):
    """The operation resets how guests have accepted."""

    name = "reset"
    rules = RESET
    guarded = True
    words: Mapping[RowState, str] = {RowState.DONE: "reset"}
    requests = "resets"
    unlooked = "nobody is reset unlooked"
    template = "invite"
    reads: tuple[str, ...] = (CHANGED,)

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of whoever is no guest, and after `attempt` of whoever was reset by it.

        Where usher mails guests itself it needs the link, which came with the lost answer: the
        reset is made once more, and nobody is mailed by that.
        """
        if attempt is None:
            return self.end_stranger(asked)
        if asked.user is None or options.template or not is_changed_since(asked.user, attempt.at_s):
            return None
        return replace(attempt.outcome, user_id=asked.user.id)

    def resolve_unshown(
        self, row: Row, user: DirectoryUser | None, connection: Connection, *, looked: bool
    ) -> RowState:
        """Repeat what the directory shows as not done, or what mails nobody."""
        if connection.mails_itself or (looked and (user is None or user.accepted)):
            return RowState.PENDING
        return RowState.LEFT_IN_DOUBT

    def explain_doubt(self, user: DirectoryUser | None) -> str:
        """Say why nobody can find out."""
        return _IN_DOUBT

    def explain_unseen(self, row: Row, options: Options) -> str:
        """Say that a look does not always show it."""
        return "a job of it resets guests, and a directory does not always show whether it has"

    def _body(self, asked: Asked, connection: Connection, options: Options) -> dict[str, Any]:
        assert asked.user
        body = super()._body(asked, connection, options)
        return body | {"invitedUser": {"id": asked.user.id}, "resetRedemption": True}


def is_changed_since(user: DirectoryUser, at_s: float) -> bool:
    """Whether a guest was reset at this time: pending since then, or accepted clearly later."""
    try:
        changed = datetime.fromisoformat(str(user.more.get(CHANGED)))
    except ValueError:
        return False
    return changed.timestamp() >= at_s + (CLOCK_SLACK_S if user.accepted else -CLOCK_SLACK_S)


_IN_DOUBT = (
    "Microsoft's answer was lost. This guest had an open invitation, so the directory does not show whether the reset"
    " was made and mailed: ask the guest, or reset once more, which may be a mail too many."
)
