"""Guests who are there are invited once more: the operations `remind` and `reset` have this in
common. Pure.

Both name whoever the look-up found, so nobody is invited anew by them, and never a member is met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from worker.ledger.model import KnownRow, Options, Outcome, Row, RowState
from worker.operations.foreseen import Foreseen, Seen
from worker.operations.invite import Invite, build_invitation
from worker.operations.operation import Asked, Call, Look, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.graph.causes import Verdict
    from worker.graph.users import DirectoryUser
    from worker.operations.tenant_rules import TenantRules


class InviteAgain(Invite):
    """The operation invites guests once more who are there."""

    alone = True
    heading_already = "Already"
    asks_rules = False
    takes_along = None
    never_known = ""
    summaries: Mapping[str, str] = {}
    template: str
    """Of usher's own mail."""

    def follows(self, connection: Connection) -> bool:
        """Follow whatever root leads to it."""
        return True

    def leads_to(self, stage: Operation) -> bool:
        """Lead to usher's own mail alone."""
        return stage.tells_link

    def settle(self, options: Options, connection: Connection) -> Options:
        """Word usher's own mail by the operation's template."""
        settled = super().settle(options, connection)
        return replace(settled, template=self.template) if connection.mails_itself else settled

    def remarks(self, row: Row, options: Options) -> tuple[str, ...]:
        """Count nothing besides."""
        return ()

    def look(self, connection: Connection, options: Options, *, suspect: bool) -> Look:
        """Nobody is invited again unlooked."""
        return Look.MUST

    def judge_known(self, row: KnownRow, at_ms: int, user: DirectoryUser | None = None) -> Outcome:
        """What the index of guests remembers stops nobody from being invited again."""
        raise AssertionError

    def end_stranger(self, asked: Asked) -> Outcome | None:
        """End the row of whoever is no guest who can sign in."""
        if asked.user is None:
            return asked.ended(RowState.FAILED, "not_there", _NOT_THERE)
        if asked.user.member:
            return asked.ended(RowState.FAILED, "own_member", _MEMBER)
        return None if asked.user.enabled else asked.ended(RowState.FAILED, "account_disabled", _DISABLED)

    def foresee(self, row: Row, address: str, seen: Seen, rules: TenantRules) -> Foreseen:
        """Refuse without the right; else the row is done."""
        return Operation.foresee(self, row, address, seen, rules)

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return an invitation for each row."""
        return [one.call("POST", "/invitations", self._body(one, connection, options)) for one in rows]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer."""
        return Operation.judge(self, asked, call, answer)

    def _body(self, asked: Asked, connection: Connection, options: Options) -> dict[str, Any]:
        row = {name: value for name, value in asked.row.items() if name != "user_type"}
        return build_invitation(row, connection, options, silent=asked.silent)


_NOT_THERE = "Not sent: nobody of this address is in the tenant; to invite them: usher invite."
_MEMBER = "Not sent: this address belongs to a member of the tenant itself, whom usher never changes."
_DISABLED = "Not sent: this guest's account is blocked from signing in: enable the guest first, then retry the row."
