"""Before guests are changed a page shows what would become of each of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tasks.forecast.guarded import foresee_change
from worker.operations.foreseen import Would

if TYPE_CHECKING:
    from tasks.forecast.rows import ForeseenRow
    from tasks.submission.preparing import Prepared
    from worker.services import Services

_SHOWN: Final = 200


@dataclass(slots=True)
class SeenChange:
    """Rows by what would become of them, the first of them one by one. `unread`: why nobody can
    tell whom to spare, so that nothing is done.
    """

    rows: list[ForeseenRow] = field(default_factory=list, repr=False)
    counts: Counter[str] = field(default_factory=Counter)
    unread: str = ""

    @property
    def left(self) -> int:
        """How many are not shown one by one."""
        return self.counts.total() - len(self.rows)


async def look_at_change(services: Services, prepared: Prepared) -> SeenChange:
    """Look at the rows of a loaded job. Raises `UsherError`."""
    seen = SeenChange(counts=Counter({would.value: 0 for would in Would}))
    rows, guard = await foresee_change(services, prepared.connection, prepared.loaded)
    async for row in rows:
        seen.counts[row.foreseen.would.value] += 1
        if len(seen.rows) < _SHOWN:
            seen.rows.append(row)
    seen.unread = guard.unread if guard else ""
    return seen
