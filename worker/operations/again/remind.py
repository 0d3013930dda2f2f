"""The operation `remind` mails guests again who have not accepted yet: `POST /invitations` with the
same address, which changes nothing else. Pure.

Who has accepted, or of whom nobody can tell, is skipped; so is whoever was reminded lately, or
often enough, by whatever job (`worker/ledger/guests/reminders.py`). No directory shows whether a
reminder was mailed: one whose answer was lost stays in doubt, unless usher mails guests itself.
Then Graph mails nobody, so its call is made once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from worker.ledger.guests.reminders import Reminded, Reminding, Spacing
from worker.ledger.model import Options, Outcome, Row, RowState
from worker.lengths import tell_length
from worker.operations.again.base import InviteAgain
from worker.operations.invite_rules import INVITE
from worker.operations.operation import Ask, Asked, Attempt

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.users import DirectoryUser
    from worker.ledger.why_waiting import Stop

BY_HAND = Spacing(every_s=3 * 86_400.0, times=3)
"""What holds where no policy says otherwise."""

REMIND = replace(
    INVITE, verb="remind guests", unsure="the guest may have been reminded; usher never mails a reminder twice."
)


class Remind(InviteAgain):
    """The operation mails pending guests their invitation again."""

    name = "remind"
    rules = REMIND
    words: Mapping[RowState, str] = {RowState.DONE: "reminded", RowState.ALREADY: "accepted"}
    requests = "reminders"
    known_words = "that have no open invitation"
    unlooked = "nobody is reminded unlooked"
    template = "remind"

    def settle(self, options: Options, connection: Connection) -> Options:
        """A reminder is a mail, whatever the connection says of invitations."""
        return super().settle(replace(options, send_message=True), connection)

    def judge_seen(self, asked: Asked, options: Options, attempt: Attempt | None = None) -> Outcome | None:
        """End the row of whoever is not pending. That a reminder went out nobody sees."""
        if asked.user is None and attempt is not None:
            return None
        stranger = self.end_stranger(asked)
        if stranger is not None or asked.user is None or asked.user.pending:
            return stranger
        return asked.ended(
            RowState.SKIPPED, *(("accepted", _ACCEPTED) if asked.user.accepted else ("state_unknown", _UNKNOWN))
        )

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """Note each reminder before it is sent, and skip whoever was reminded lately or enough."""
        if connection.deliver == "none":
            return {one.index: one.ended(RowState.FAILED, "no_mail", _NO_MAIL) for one in rows}
        spacing = spacing_of(connection)
        guests = {one.index: Reminding(*_whom(one), _guest_since_s(one)) for one in rows}
        before = await ask.reminders.note(connection.tenant_key, ask.job, guests, spacing)
        return {
            one.index: one.ended(RowState.SKIPPED, "reminded_before", _explain(before[one.index], spacing))
            for one in rows
            if one.index in before
        }

    async def take_back(self, ask: Ask, rows: Sequence[Asked], connection: Connection) -> bool:
        """Forget reminders that Graph has refused."""
        await ask.reminders.take_back(connection.tenant_key, ask.job, {one.index: _whom(one) for one in rows})
        return True

    def resolve_unshown(
        self, row: Row, user: DirectoryUser | None, connection: Connection, *, looked: bool
    ) -> RowState:
        """Repeat the call where it mails nobody; else never, whatever `on_doubt` says."""
        return RowState.PENDING if connection.mails_itself else RowState.LEFT_IN_DOUBT

    def explain_doubt(self, user: DirectoryUser | None) -> str:
        """Say that nobody can find out."""
        return _IN_DOUBT

    def explain_unseen(self, row: Row, options: Options) -> str:
        """Say that no look shows reminders."""
        return "a job of it reminds guests, and a directory does not show whether it has"


def spacing_of(connection: Connection) -> Spacing:
    """Return how reminders of a connection are spaced: by its policy, else as by hand."""
    clean = connection.clean
    return Spacing(clean.remind_every_s or BY_HAND.every_s, clean.remind_times or BY_HAND.times)


def _whom(asked: Asked) -> tuple[str, str]:
    """Return the guest's object id, and the address of the row."""
    email = str(asked.row["email"])
    return (asked.user.id if asked.user else email), email


def _guest_since_s(asked: Asked) -> float:
    created = asked.user.created_at if asked.user else None
    return created.timestamp() if created else 0.0


def _explain(before: Reminded, spacing: Spacing) -> str:
    day = f"{before.last:%Y-%m-%d}"
    if before.times >= spacing.times:
        return f"Not sent: this guest was reminded {before.times} times, the last time on {day}, and no more are sent."
    apart = tell_length(spacing.every_s)
    return f"Not sent: this guest was reminded on {day}, and two reminders are {apart} apart at least."


_ACCEPTED = "Not sent: this guest has accepted the invitation."
_UNKNOWN = "Not sent: Microsoft does not say of this guest whether an invitation is open, so nobody is reminded of one."
_NO_MAIL = (
    'Not sent: this connection mails nobody (deliver = "none"): whoever runs usher chooses another way in the'
    " configuration."
)
_IN_DOUBT = (
    "Microsoft's answer was lost, so this guest may have been reminded, or not, and no directory shows it. It counts as"
    " reminded: usher sends no other reminder before its time."
)
