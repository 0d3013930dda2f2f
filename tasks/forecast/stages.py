"""A dry run foresees the stages of each row, too: what would be done, what is so already, what
would be refused.

Guests who are there are compared as before a send (`Operation.compare`); for one who would be
invited everything is still to be done. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tasks.forecast.rows import ForeseenRow, StageForeseen, StageWould
from worker.directory.asking import PatientAsk
from worker.errors import UsherError
from worker.ledger.job_targets import Target
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.foreseen import Would
from worker.operations.operation import Asked, CannotAsk, Operation, find_targets
from worker.operations.registry import OPERATIONS
from worker.operations.tenant_rules import TenantRules

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.forecast.targets import StageAhead
    from worker.graph.users import DirectoryUser
    from worker.services import Services

_AT_ONCE = 500
"""Rows whose stages are looked at together: what a group's members are read for once."""


@dataclass(slots=True)
class StageForesight:
    """Looks at the stages of the rows of one list. `unread`: some could not be compared, so that
    more than is told may be so already.
    """

    services: Services
    connection: Connection
    job: str
    stages: Sequence[StageAhead]
    rules: TenantRules
    options: Options
    unread: bool = False
    _counts: dict[str, Counter[StageWould]] = field(default_factory=dict)

    def counted(self) -> list[StageAhead]:
        """Return the stages with what would become of their guests."""
        return [
            replace(stage, would={would: self._counts.get(stage.name, Counter())[would] for would in StageWould})
            for stage in self.stages
        ]

    async def add(self, rows: AsyncIterator[ForeseenRow]) -> AsyncIterator[ForeseenRow]:
        """Yield the rows with their stages. Raises `TokenRefused`, and redis-py's errors."""
        ask = PatientAsk(self.services, self.connection, self.job)
        part: list[ForeseenRow] = []
        async for row in rows:
            part.append(row)
            if len(part) == _AT_ONCE:
                for one in await self._look(ask, part):
                    yield one
                part = []
        for one in await self._look(ask, part):
            yield one

    async def _look(self, ask: PatientAsk, rows: Sequence[ForeseenRow]) -> Iterable[ForeseenRow]:
        found: list[dict[str, StageForeseen]] = [{} for _ in rows]
        for stage in self.stages:
            for index, foreseen in (await self._look_at(ask, stage, rows)).items():
                found[index][stage.name] = foreseen
                self._counts.setdefault(stage.name, Counter())[foreseen.would] += 1
        return (replace(row, stages=stages) if stages else row for row, stages in zip(rows, found, strict=True))

    async def _look_at(
        self, ask: PatientAsk, stage: StageAhead, rows: Sequence[ForeseenRow]
    ) -> dict[int, StageForeseen]:
        """Return what would become of a stage, by the rows' places."""
        operation = OPERATIONS[stage.name]
        targets = {target.name: target for target, _ in stage.named}
        whose: list[int] = []
        items: list[Asked] = []
        found: dict[int, StageForeseen] = {}
        for place, row in enumerate(rows):
            if is_there(row):
                new = row.foreseen.would is Would.DO
                for name in find_targets(operation, row.row, self.options):
                    whose.append(place)
                    items.append(_item(operation, len(items), row.row, row.user, targets.get(name), new=new))
            elif row.waits and find_targets(operation, row.row, self.options):
                found[place] = StageForeseen(StageWould.SKIP, _NOT_INVITED)
        ends = await self._compare(ask, operation, items)
        for place, item in zip(whose, items, strict=True):
            foreseen = self._judge(operation, item, ends.get(item.index))
            found[place] = max(found.get(place, foreseen), foreseen, key=_weight)
        return found

    async def _compare(self, ask: PatientAsk, operation: Operation, items: Sequence[Asked]) -> Mapping[int, Any]:
        """Return how the items end that nothing is written for."""
        ended: dict[int, Any] = {}
        for item in items:
            if item.target is not None and item.target.refused:
                ended[item.index] = item.ended(RowState.FAILED, message=item.target.refused)
            elif item.user is not None:
                seen = operation.judge_seen(item, self.options)
                if seen is not None:
                    ended[item.index] = seen
        known = [item for item in items if item.user is not None and item.index not in ended]
        if not known:
            return ended
        try:
            return {**await operation.compare(ask, known, self.connection, self.options), **ended}
        except (CannotAsk, UsherError):
            self.unread = True
            return ended

    def _judge(self, operation: Operation, item: Asked, ended: object) -> StageForeseen:
        if isinstance(ended, Outcome):
            if ended.letter is RowState.FAILED:
                return StageForeseen(StageWould.REFUSE, ended.message)
            if ended.letter is RowState.SKIPPED:
                return StageForeseen(StageWould.SKIP, ended.message)
            return StageForeseen(StageWould.ALREADY)
        if operation.rules.is_granted(self.rules.roles) is False:
            return StageForeseen(StageWould.WAIT, f"The app lacks {operation.rules.permission}.")
        return StageForeseen(StageWould.DO)


_NOT_INVITED = "The guest is not invited."


def is_there(row: ForeseenRow) -> bool:
    """Whether a row's guest would be in the tenant: invited, or there already."""
    return row.waits and row.foreseen.would is not Would.REFUSE


def _item(
    operation: Operation,
    index: int,
    row: Mapping[str, Any],
    user: DirectoryUser | None,
    target: Target | None,
    *,
    new: bool,
) -> Asked:
    columns = {name: value for name, value in row.items() if name in operation.columns}
    item = {"email": row["email"], "user_id": user.id if user else "", "new": new and user is None, **columns}
    return Asked(index, item, user, target=target)


def _weight(foreseen: StageForeseen) -> int:
    """Return which of a row's items tells most: refused, else waiting, else done."""
    return (StageWould.SKIP, StageWould.ALREADY, StageWould.DO, StageWould.WAIT, StageWould.REFUSE).index(
        foreseen.would
    )
