"""The rows of a list ask for stages after their invitation: how many for each, and which groups,
teams and sponsors they name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.ledger.model import Options, Row
from worker.operations.operation import Operation, find_targets
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from config.connections import Connection

_MOST_NAMES = 10_000
"""Different names of one stage that are remembered for a plan; a worker finds the others."""


@dataclass(slots=True)
class AskedStages:
    """What the rows of one list ask for. `rows`: guests by stage; `names`: guests by stage and by
    what they name in it; `items`: what is to be done, one a name.
    """

    rows: Counter[str] = field(default_factory=Counter)
    names: dict[str, Counter[str]] = field(default_factory=dict)
    items: int = 0

    def add(self, asked: Mapping[str, tuple[str, ...]]) -> None:
        """Count one row, of which is known what it asks for (`find_asked`)."""
        for stage, targets in asked.items():
            self.rows[stage] += 1
            self.items += len(targets)
            names = self.names.setdefault(stage, Counter())
            for name in targets:
                if name and (name in names or len(names) < _MOST_NAMES):
                    names[name] += 1


def find_stages(connection: Connection, operation: Operation) -> list[Operation]:
    """Return the operations that may follow one on a connection, in the order they are told in."""
    return [one for one in OPERATIONS.values() if operation.leads_to(one) and one.follows(connection)]


def find_asked(stages: Sequence[Operation], row: Row, options: Options) -> dict[str, tuple[str, ...]]:
    """Return what a row asks for: by stage the names, '' for what needs none."""
    return {stage.name: targets for stage in stages if (targets := find_targets(stage, row, options))}
