"""The operation `teams` makes guests members of teams: up to 200 of one team with one call, which
answers for each. Pure but for the reading of members.

The calls are limited for each team, so none of them goes into a `$batch`.
https://learn.microsoft.com/graph/api/conversationmembers-add
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import Kind, Verdict
from worker.graph.verdicts import decide
from worker.ledger.job_targets import TargetKind
from worker.ledger.model import Options, RowState
from worker.ledger.quota import team_buckets
from worker.operations.members.group_rules import TEAMS, GroupCause
from worker.operations.members.membership import Membership
from worker.operations.operation import Asked, Call

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.ledger.quota import Bucket

_MEMBER = "microsoft.graph.aadUserConversationMember"
_STATUS_OF = {"notfound": 404, "forbidden": 403, "toomanyrequests": 429, "conflict": 409}
"""What a guest's own error means as a status, by its code; any other is a refusal (400)."""
_MOST_SILENT = 5
"""A guest of whom an answer says nothing is asked for so often again; more has no end."""


class Teams(Membership):
    """The operation adds guests to teams."""

    name = "teams"
    rules = TEAMS
    column = "teams"
    target_kind = TargetKind.TEAM
    words: Mapping[RowState, str] = {RowState.DONE: "added", RowState.ALREADY: "already a member"}
    rows_a_call = 200
    calls_at_once = 1

    def buckets(self, settings: Settings, connection: Connection, rows: Sequence[Asked] = ()) -> list[Bucket]:
        """Return those of a call to Teams, and of the team, which several rows share."""
        team = next((asked.target.id for asked in rows if asked.target), "")
        return team_buckets(connection, team, 1 / (len(rows) or self.rows_a_call))

    def build(self, rows: Sequence[Asked], connection: Connection, options: Options) -> list[Call]:
        """Return a POST for each team."""
        together: dict[str, list[Asked]] = {}
        for asked in rows:
            if asked.target:
                together.setdefault(asked.target.id, []).append(asked)
        return [_build_call(team, those, connection) for team, those in together.items()]

    def judge(self, asked: Asked, call: Call, answer: GraphAnswer) -> Verdict:
        """Judge a row by its own part of the answer, or by what is said of the call."""
        own = _own_part(answer, asked.user_id)
        verdict = self.name_target(asked, decide(self.rules, own, email=asked.row["email"]))
        if own is not answer and verdict.cause == GroupCause.GONE:  # what is missing is the guest, not the team
            return self.explain(asked, GroupCause.NOT_THERE_YET, verdict)
        if own is not answer and own.fate is Fate.LOST and asked.tried >= _MOST_SILENT:
            return self.explain(asked, GroupCause.UNSAID, verdict)
        if own is answer and verdict.kind is Kind.FAILED and not verdict.whole_target and len(call.rows) > 1:
            return replace(verdict, kind=Kind.AGAIN, apart=True)
        return verdict


def _build_call(team: str, part: Sequence[Asked], connection: Connection) -> Call:
    guests = dict.fromkeys(asked.user_id for asked in part)
    values: list[dict[str, Any]] = [
        {"@odata.type": _MEMBER, "roles": [], "user@odata.bind": f"{connection.graph_url}/users('{guest}')"}
        for guest in guests
    ]
    request = GraphRequest(str(part[0].index), "POST", f"/teams/{team}/members/add", {"values": values})
    return Call(request, tuple(asked.index for asked in part))


def _own_part(answer: GraphAnswer, guest: str) -> GraphAnswer:
    """Return what a success says of one guest as an answer of its own; other answers as they
    are. A guest of whom a 207 says nothing is asked for again, some times.
    """
    values = answer.body.get("value") if isinstance(answer.body, dict) else None
    if answer.fate is not Fate.ANSWERED or not 200 <= answer.status < 300 or not isinstance(values, list):
        return answer
    own = next((one for one in values if isinstance(one, dict) and str(one.get("userId")).lower() == guest), None)
    if own is None:
        missing = GraphAnswer(Fate.LOST, note="missing from the answer")
        return answer if answer.status == 200 and not values else missing
    error = own.get("error")
    if not isinstance(error, dict):
        return replace(answer, body=own)
    status = _STATUS_OF.get(str(error.get("code")).replace("_", "").lower(), 400)
    return replace(answer, status=status, body={"error": error})
