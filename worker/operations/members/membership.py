"""Operations on groups and teams have this in common: what a row names, whose membership is as it
should be already, and how a refusal speaks of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.ledger.model import Options, Outcome, Row, RowState
from worker.operations.members.group_members import GroupMembers, Known
from worker.operations.operation import Ask, Asked
from worker.operations.step import Step

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.causes import Verdict
    from worker.ledger.why_waiting import Stop


class Membership(Step):
    """A step about something whose members can be read; here guests are put into it."""

    column: str
    """Of the root's row: the names."""
    so_already: tuple[str, str] = ("already_member", "A member already.")
    """Code and sentence of a guest for whom nothing is to be written."""

    def __init__(self, members: GroupMembers | None = None) -> None:
        self._members = members or GroupMembers()

    def is_to_be_read(self, asked: Asked) -> bool:
        """Whether nobody knows without reading if a guest is a member. One whom this job has just
        invited is in nothing yet; unless an answer was lost, after which they may be.
        """
        return bool(asked.tried or not asked.row.get("new"))

    def is_so(self, guest: str, known: Known) -> bool:
        """Whether a guest's membership is as it should be."""
        return guest in known.members

    def targets(self, row: Row, options: Options) -> tuple[str, ...]:
        """Return the names in the row's column, each once."""
        return tuple(dict.fromkeys(row.get(self.column) or ()))

    async def compare(
        self, ask: Ask, rows: Sequence[Asked], connection: Connection, options: Options
    ) -> Mapping[int, Outcome | Stop]:
        """End the rows for which nothing is to be written, and those whose target is refused."""
        found: dict[int, Outcome | Stop] = {}
        unsure: dict[str, list[Asked]] = {}
        for asked in rows:
            if asked.target and asked.target.refused:
                found[asked.index] = asked.ended(RowState.FAILED, "target_refused", asked.target.refused)
            elif asked.target and self.is_to_be_read(asked):
                unsure.setdefault(asked.target.id, []).append(asked)
        for target, those in unsure.items():
            anew = any(asked.tried for asked in those)
            known = await self._members.find(
                ask, connection, target, frozenset(one.user_id for one in those), anew=anew
            )
            found |= {asked.index: self._end(asked) for asked in those if self.is_so(asked.user_id, known)}
        return found

    def name_target(self, asked: Asked, verdict: Verdict) -> Verdict:
        """Put the target's name into a sentence."""
        name = (asked.target.title or asked.target.name) if asked.target else "the target"
        return replace(verdict, message=verdict.message.replace("{target}", name), user_id=asked.user_id)

    def explain(self, asked: Asked, cause: StrEnum, verdict: Verdict) -> Verdict:
        """Return what an answer means by another cause than its wording gives away."""
        rule = self.rules.rule(cause)
        told = replace(
            verdict,
            kind=rule.kind,
            message=rule.message,
            hold=rule.hold,
            whole_target=rule.whole_target,
            cause=cause.value,
        )
        return self.name_target(asked, told)

    def _end(self, asked: Asked) -> Outcome:
        """End a row whose guest is as it asks. Who was not before the first try became so by that
        try, unheard.
        """
        if asked.tried:
            return Outcome(asked.index, RowState.DONE, user_id=asked.user_id, attempts=asked.tried)
        return asked.ended(RowState.ALREADY, *self.so_already)
