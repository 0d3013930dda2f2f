"""Groups and teams have this in common as operations: whom a row names, who is a member already,
and how a refusal speaks of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.group_members import GroupMembers
from worker.operations.operation import Ask, Asked
from worker.operations.step import Step, user_id

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.causes import Verdict
    from worker.ledger.why_waiting import Stop

_MEMBER_ALREADY = "A member already."


class Membership(Step):
    """A step that puts guests into something whose members can be read."""

    column: str
    """Of the root's row: the names."""

    def __init__(self, members: GroupMembers | None = None) -> None:
        self._members = members or GroupMembers()

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Return the names in the row's column, each once."""
        return tuple(dict.fromkeys(row.get(self.column) or ()))

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows of members, for whom nothing is to be written, and those whose target is
        refused.

        Of a guest whom this job has just invited nothing is asked, for they are in nothing yet;
        unless an answer was lost, after which they may be.
        """
        found: dict[int, Outcome | Stop] = {}
        unsure: dict[str, list[Asked]] = {}
        for asked in rows:
            if asked.target and asked.target.refused:
                found[asked.index] = Outcome(
                    asked.index, RowState.FAILED, code="target_refused", message=asked.target.refused
                )
            elif asked.target and (asked.tried or not asked.row.get("new")):
                unsure.setdefault(asked.target.id, []).append(asked)
        for target, those in unsure.items():
            anew = any(asked.tried for asked in those)
            guests = frozenset(map(user_id, those))
            members = await self._members.find(ask, connection, target, guests, anew=anew)
            found |= {asked.index: _member(asked) for asked in those if user_id(asked) in members}
        return found

    def name_target(self, asked: Asked, verdict: Verdict) -> Verdict:
        """Put the target's name into a sentence."""
        name = (asked.target.title or asked.target.name) if asked.target else "the target"
        return verdict._replace(message=verdict.message.replace("{target}", name), user_id=user_id(asked))

    def explain(self, asked: Asked, cause: StrEnum, verdict: Verdict) -> Verdict:
        """Return what an answer means by another cause than its wording gives away."""
        rule = self.rules.rule(cause)
        told = verdict._replace(
            kind=rule.kind, message=rule.message, hold=rule.hold, whole_target=rule.whole_target, cause=cause.value
        )
        return self.name_target(asked, told)


def _member(asked: Asked) -> Outcome:
    """End a member's row. Who was none before the first try was added by that try, unheard."""
    if asked.tried:
        return Outcome(asked.index, RowState.DONE, user_id=user_id(asked), attempts=asked.tried)
    return Outcome(
        asked.index, RowState.ALREADY, user_id=user_id(asked), code="already_member", message=_MEMBER_ALREADY
    )
