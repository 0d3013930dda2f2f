"""The rows of a list ask for stages after their invitation: how many for each, and which groups,
teams and sponsors they name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from worker.channels import INVITE
from worker.ledger.model import Options
from worker.operations.operation import find_targets
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from config.connections import Connection

STAGES: Final = tuple(name for name in OPERATIONS if name != INVITE)
"""The operations that may follow an invitation, in the order in which they are told."""
_MOST_NAMES = 10_000
"""Different names of one stage that are remembered for a plan; a worker finds the others."""


@dataclass(slots=True)
class AskedStages:
    """What the rows of one list ask for. `rows`: guests by stage; `names`: guests by stage and by
    what they name in it.
    """

    rows: Counter[str] = field(default_factory=Counter)
    names: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, asked: Mapping[str, tuple[str, ...]]) -> None:
        """Count one row, of which is known what it asks for (`find_asked`)."""
        for stage, targets in asked.items():
            self.rows[stage] += 1
            names = self.names.setdefault(stage, Counter())
            for name in targets:
                if name and (name in names or len(names) < _MOST_NAMES):
                    names[name] += 1


def stages_for(connection: Connection) -> tuple[str, ...]:
    """Return the stages that a connection's invitations may have."""
    return tuple(name for name in STAGES if OPERATIONS[name].follows(connection))


def find_asked(row: Mapping[str, Any], connection: Connection, options: Options) -> dict[str, tuple[str, ...]]:
    """Return what a row asks for: by stage the names, '' for what needs none."""
    stages = stages_for(connection)
    return {stage: targets for stage in stages if (targets := find_targets(OPERATIONS[stage], row, options))}
