"""The operation `leave` takes guests out of groups, one write for each. Pure but for the reading of
members.

A row names the groups in `leave_groups`, which no list can bring: whoever compares a list with its
tenant puts it there. https://learn.microsoft.com/graph/api/group-delete-members
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from worker.graph.causes import Verdict
from worker.graph.references import reference_path
from worker.graph.verdicts import decide
from worker.ledger.job_targets import TargetKind
from worker.ledger.model import Options, RowState
from worker.operations.members.group_members import Known
from worker.operations.members.group_rules import LEAVE, GroupCause
from worker.operations.members.membership import Membership
from worker.operations.operation import Asked, Call

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer

LEAVE_GROUPS = "leave_groups"
"""The field of a row that names groups to be left, as `groups` names those to be joined."""


class Leave(Membership):
    """The operation takes guests out of groups."""

    name = "leave"
    rules = LEAVE
    column = LEAVE_GROUPS
    target_kind = TargetKind.GROUP
    guarded = True
    words: Mapping[RowState, str] = {RowState.DONE: "taken out", RowState.ALREADY: "not a member"}
    so_already = (GroupCause.NOT_A_MEMBER.value, LEAVE.explain(GroupCause.NOT_A_MEMBER))

    def is_to_be_read(self, asked: Asked) -> bool:
        """Always read."""
        return True

    def is_so(self, guest: str, known: Known) -> bool:
        """Whether a guest is certainly no member."""
        return guest not in known.members and guest not in known.unknown

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a DELETE of the reference for each row."""
        return [
            asked.call("DELETE", reference_path("groups", asked.target.id, "members", asked.user_id))
            for asked in rows
            if asked.target
        ]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge by Graph's answer."""
        return self.name_target(asked, decide(self.rules, answer, email=asked.row["email"]))
