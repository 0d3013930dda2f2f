"""A dry run says of each stage how many guests need something written: those who are in the tenant
already are compared with what their rows say, as the stage itself would do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.asked_stages import find_asked
from tasks.forecast.targets import StageAhead
from worker.directory.asking import PatientAsk
from worker.errors import UsherError
from worker.ledger.model import Options, Outcome, RowState
from worker.operations.foreseen import Would
from worker.operations.operation import Asked, CannotAsk, Operation
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.forecast.rows import ForeseenRow
    from worker.graph.users import DirectoryUser
    from worker.ledger.job_targets import Target
    from worker.services import Services

_TOGETHER = 500
"""Guests compared at a time: a group's members are read once for all of them."""
_GRAVEST_FIRST = (Would.REFUSE, Would.DO, Would.SKIP)


class Differences:
    """Compares the guests of one loaded job. `would`: by stage, what would become of its guests."""

    def __init__(
        self, services: Services, connection: Connection, job: str, options: Options, stages: Sequence[StageAhead]
    ) -> None:
        self.would: dict[str, Counter[Would]] = {stage.name: Counter() for stage in stages if not stage.unread}
        self._connection = connection
        self._options = options
        self._stages = stages
        self._targets: dict[str, Mapping[str, Target]] = {
            stage.name: {target.name: target for target, _ in stage.named} for stage in stages
        }
        self._ask = PatientAsk(services, connection, job)
        self._waiting: list[ForeseenRow] = []

    @property
    def reads(self) -> tuple[str, ...]:
        """Properties that the look-up of the guests has to select."""
        return tuple(dict.fromkeys(name for stage in self.would for name in OPERATIONS[stage].reads))

    async def add(self, row: ForeseenRow) -> None:
        """Take in one row; those of guests who will not be there ask for nothing. Raises
        `TokenRefused`.
        """
        if row.waits and row.foreseen.would is not Would.REFUSE and self.would:
            self._waiting.append(row)
            if len(self._waiting) >= _TOGETHER:
                await self._compare_waiting()

    async def end(self) -> list[StageAhead]:
        """Compare those that are left. Returns the stages with what was found."""
        await self._compare_waiting()
        return [replace(stage, would=self.would.get(stage.name)) for stage in self._stages]

    async def _compare_waiting(self) -> None:
        rows, self._waiting = self._waiting, []
        wanted = [(row, find_asked(row.row, self._connection, self._options)) for row in rows]
        for stage in list(self.would):
            try:
                await self._compare(stage, [(row, asked[stage]) for row, asked in wanted if stage in asked])
            except (CannotAsk, UsherError):
                del self.would[stage]  # nobody could tell, so nothing is told

    async def _compare(self, stage: str, rows: Sequence[tuple[ForeseenRow, Sequence[str]]]) -> None:
        operation, found = OPERATIONS[stage], dict[int, Would]()
        items: list[Asked] = []
        guests: dict[int, int] = {}  # item → its guest's row
        for row, names in rows:
            for name in names:
                index = len(guests)
                guests[index] = row.number
                target = self._targets[stage].get(name)
                asked = Asked(index, _item(operation, row, name), row.user, target=target)
                if row.user is None:
                    found[index] = Would.REFUSE if target is not None and target.refused else Would.DO
                elif ended := operation.judge_seen(index, asked.row, row.user, 0, self._options):
                    found[index] = _would(ended)
                else:
                    items.append(asked)
        outcomes = await operation.compare(self._ask, items, self._connection, self._options) if items else {}
        for asked in items:
            outcome = outcomes.get(asked.index)
            found[asked.index] = _would(outcome) if isinstance(outcome, Outcome) else Would.DO
        self.would[stage].update(_sum_up(guests, found).values())


def _item(operation: Operation, row: ForeseenRow, name: str) -> dict[str, Any]:
    """Return what the stage would be given of a row."""
    columns = {column: value for column, value in row.row.items() if column in operation.columns}
    user: DirectoryUser | None = row.user
    is_new = user is None
    return {"email": row.row["email"], "user_id": user.id if user else "", "new": is_new, "target": name, **columns}


def _would(outcome: Outcome) -> Would:
    return Would.REFUSE if outcome.letter is RowState.FAILED else Would.SKIP


def _sum_up(guests: Mapping[int, int], found: Mapping[int, Would]) -> dict[int, Would]:
    """Return what would become of each guest: the gravest of its items."""
    summed: dict[int, Would] = {}
    for item, guest in guests.items():
        summed[guest] = min(summed.get(guest, Would.SKIP), found[item], key=_GRAVEST_FIRST.index)
    return summed
