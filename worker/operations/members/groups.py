"""The operation `groups` makes guests members of groups: up to 20 of one group with one write. Pure
but for the reading of members.

One bad member spoils a call, so its rows are then sent each in a call of its own.
https://learn.microsoft.com/graph/api/group-post-members
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from worker.graph.batch import GraphRequest
from worker.graph.causes import Kind, Verdict
from worker.graph.references import build_reference, reference_path
from worker.graph.verdicts import decide
from worker.ledger.job_targets import TargetKind
from worker.ledger.model import RowState
from worker.ledger.quota import write_buckets
from worker.operations.members.group_rules import GROUPS, GroupCause, named_ids
from worker.operations.members.membership import Membership
from worker.operations.operation import Asked, Call

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.batch import GraphAnswer
    from worker.ledger.quota import Bucket

_MEMBERS = "members@odata.bind"
_TOGETHER = 3
"""A call waits so often as a whole for guests whom the group's part of the directory does not know;
after that for each by itself.
"""


class Groups(Membership):
    """The operation adds guests to groups."""

    name = "groups"
    rules = GROUPS
    column = "groups"
    target_kind = TargetKind.GROUP
    words: Mapping[RowState, str] = {RowState.DONE: "added", RowState.ALREADY: "already a member"}
    rows_a_call = 20

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of a write, which several rows share."""
        share = len(_split(rows)) / len(rows) if rows else 1 / self.rows_a_call
        return [replace(bucket, cost=share) for bucket in write_buckets(settings, connection)]

    def build(self, rows: Sequence[Asked], connection: Connection, options: Any) -> list[Call]:
        """Return a PATCH for each 20 of one group, and a POST for each row that goes alone."""
        return [_build_call(part, connection) for part in _split(rows)]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge a row by the answer to its call. Where another row may be to blame, this one is
        sent again.
        """
        verdict = self.name_target(asked, decide(self.rules, answer, email=asked.row["email"]))
        named = named_ids(answer) if verdict.kind in (Kind.RETRY, Kind.FAILED) and verdict.status else frozenset()
        if asked.target and asked.target.id in named and verdict.cause == GroupCause.NOT_THERE_YET:
            return self.explain(asked, GroupCause.GONE, verdict)
        if len(call.rows) == 1 or verdict.whole_target:
            return verdict
        if verdict.cause == GroupCause.NOT_THERE_YET:
            if asked.user_id in named or (asked.row.get("new") and asked.tried < _TOGETHER):
                return verdict
            return replace(verdict, kind=Kind.AGAIN, apart=named.isdisjoint(_guests_of(call)))
        if verdict.kind is Kind.ALREADY:  # whoever is a member is found by reading, once (`compare`)
            return replace(verdict, kind=Kind.AGAIN, apart=asked.tried > 0)
        if verdict.kind is Kind.FAILED:
            return replace(verdict, kind=Kind.AGAIN, apart=True)
        return verdict


def _guests_of(call: Call) -> frozenset[str]:
    """Return the ids of the guests whom a call for several names."""
    body = call.request.body or {}
    return frozenset(reference.rpartition("/")[2].lower() for reference in body.get(_MEMBERS, ()))


def _split(rows: Sequence[Asked]) -> list[tuple[Asked, ...]]:
    """Return the rows of each call."""
    together: dict[str, list[Asked]] = {}
    calls: list[tuple[Asked, ...]] = []
    for asked in rows:
        if asked.silent or asked.target is None:
            calls.append((asked,))
        else:
            together.setdefault(asked.target.id, []).append(asked)
    most = Groups.rows_a_call
    return calls + [
        tuple(same[start : start + most]) for same in together.values() for start in range(0, len(same), most)
    ]


def _build_call(part: Sequence[Asked], connection: Connection) -> Call:
    first, target = part[0], part[0].target
    assert target
    guests = dict.fromkeys(asked.user_id for asked in part)  # two rows of one guest would spoil the call
    references = [build_reference(connection.graph_url, "directoryObjects", guest) for guest in guests]
    if len(references) == 1:
        path = reference_path("groups", target.id, "members")
        request = GraphRequest(str(first.index), "POST", path, references[0])
    else:
        bound = [reference["@odata.id"] for reference in references]
        request = GraphRequest(str(first.index), "PATCH", f"/groups/{target.id}", {_MEMBERS: bound})
    return Call(request, tuple(asked.index for asked in part))
