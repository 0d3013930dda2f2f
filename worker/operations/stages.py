"""A row that ends feeds the stages of its job, and an item that ends is told to its guest:
what the ledger is handed of both, beside the outcomes. Pure.

A stage's row is an item: one guest and one target, of an operation that comes after the invitation
(`scripts/_jobs.lua` gathers items into chunks, and merges what becomes of a guest's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.ledger.model import Options, Outcome, Row, RowState
from worker.ledger.packing import final_of
from worker.ledger.stages import is_stage, split_stage, tell_whose
from worker.operations.operation import INVITED_BEFORE, UNSURE, Operation, find_targets
from worker.operations.registry import find_operation

_AT = "at"  # of an item: root's chunk, and the index of the guest's row in it
_TOLD = frozenset({RowState.FAILED, RowState.LEFT_IN_DOUBT})
_LONGEST = 500  # characters kept of why an item failed


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain is what the ends of one chunk's rows mean beyond the chunk: for the stages of their
    job, or for the guests of the job that they are a stage of.
    """

    job: str
    chunk: int
    base: int
    options: Options
    stages: tuple[Operation, ...]
    packed: bytes = field(repr=False)  # the chunk's rows as the ledger has them; empty: it is the one meant
    suspect: bool  # what its rows were followed by may be unknown to the ledger, which is older than the server
    invites: bool  # whoever's row was done has just been invited

    @classmethod
    def of(
        cls,
        job: str,
        chunk: int,
        base: int,
        options: Options,
        stages: Sequence[str],
        packed: bytes = b"",
        *,
        suspect: bool = False,
        invites: bool = True,
    ) -> Chain:
        """Raises `ConfigError` for a stage that only a newer usher knows."""
        operations = tuple(find_operation(name) for name in stages)
        return cls(job, chunk, base, options, operations, packed, suspect, invites)

    def tell(self, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> bytes:
        """Return what `record_batch` is handed beside some outcomes; nothing for a job alone."""
        if not self.stages and not is_stage(self.job):
            return b""
        if not self.stages:
            tells_all = find_operation(split_stage(self.job)[1]).alone  # the others' words would fill Redis
            said = {outcome.index: _say(outcome, tells_all=tells_all) for outcome in outcomes}
            return orjson.dumps(tell_whose(rows, self.packed, said))
        final = final_of(outcomes)
        return orjson.dumps({"feeds": self._feeds(rows, final)}) if final else b""

    def _feeds(self, rows: Sequence[Row], final: Sequence[Outcome]) -> dict[str, dict[str, list[list[str]]]]:
        feeds = {}
        for stage in self.stages:
            items_of = {}
            for outcome in final:
                row = rows[outcome.index]
                if targets := find_targets(stage, row, self.options):
                    items_of[str(outcome.index)] = (
                        [[target, self._item(stage, row, outcome, target)] for target in targets]
                        if is_there(outcome)
                        else []
                    )
            if items_of:
                feeds[stage.name] = items_of
        return feeds

    def _item(self, stage: Operation, row: Row, outcome: Outcome, target: str) -> str:
        is_new = self.invites and outcome.letter is RowState.DONE
        item: dict[str, Any] = {
            "email": row["email"],
            "row": self.base + outcome.index,
            _AT: [self.chunk, outcome.index],
            "user_id": outcome.user_id,
            "new": is_new,
            "since": outcome.at_ms,
            "target": target,
        }
        if self.suspect and is_new and not outcome.redeem_url:
            item[UNSURE] = True  # found out by a look: how its invitation was answered, and what came next, is lost
        return orjson.dumps(item | _columns(stage, row)).decode()


def is_there(outcome: Outcome) -> bool:
    """Whether a row's guest is in the tenant now, as far as its end tells."""
    if outcome.letter is RowState.SKIPPED:
        return outcome.code == INVITED_BEFORE
    return outcome.letter in (RowState.DONE, RowState.ALREADY)


def _columns(stage: Operation, row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in stage.columns}


def _say(outcome: Outcome, *, tells_all: bool) -> str:
    return outcome.message[:_LONGEST] if tells_all or outcome.letter in _TOLD else ""
