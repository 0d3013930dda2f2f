"""What would become of the rows of a loaded job is looked up in the tenant: counted, and told row
by row with the reason. A ceiling is a number of guests beyond which it is done to none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.safe_text import clean
from tasks.submission.ceiling import MOST
from tasks.telling.words import line_of, many, number
from worker.ledger.model import NEW_EMAIL
from worker.operations.foreseen import Would
from worker.operations.row_fields import THEN, WHY

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.forecast.rows import ForeseenRow
    from tasks.submit import Loaded
    from worker.services import Services


@dataclass(slots=True)
class Change:
    """What is wanted of one tenant, and what was found of it. `deeds`: to how many rows something
    would be done, by what; `because`: the others, by code.
    """

    operation: str
    connection: str
    most: int | None
    ceilings: list[str] = field(default_factory=list)
    counts: Counter[Would] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    because: Counter[str] = field(default_factory=Counter)

    @property
    def would(self) -> dict[str, int]:
        """What would become of the rows, as `--json` tells it."""
        others = {would.value: self.counts[would] for would in (Would.SKIP, Would.REFUSE)}
        return {**(self.deeds or {self.operation: 0}), **others}

    @property
    def plan(self) -> dict[str, Any]:
        """The plan, as `--json` tells it."""
        return {"would": self.would, "because": dict(self.because)}

    @property
    def undone(self) -> dict[str, int]:
        """The counts of a job that was not started."""
        skipped, failed, cancelled = (self.counts[would] for would in (Would.SKIP, Would.REFUSE, Would.DO))
        return {"rows": self.counts.total(), "skipped": skipped, "failed": failed, "cancelled": cancelled}

    def take_unseen(self, loaded: Loaded) -> None:
        """Count the rows of a tenant where nobody can look: each that can be sent counts."""
        self.counts[Would.DO] = self.deeds[self.operation] = loaded.to_send
        self.counts[Would.REFUSE] = loaded.rows - loaded.to_send

    def meets_ceiling(self) -> str:
        """Return a sentence where there is more to do than `most` allows, and note it; else ''."""
        if self.most is None or self.counts[Would.DO] <= self.most:
            return ""
        self.ceilings.append(MOST)
        guests = many(self.counts[Would.DO], "guest")
        return (
            f"To {self.operation} {guests} is more than --most {number(self.most)} allows,"
            " so nothing is done: look at the list, then give a larger number or a shorter list."
        )


async def foresee(
    services: Services, connection: Connection, change: Change, loaded: Loaded, put: Callable[[str], None]
) -> str:
    """Find out what would become of each row, and put a line for each; returns a sentence where
    nobody can tell whom to spare, else ''. Raises `TokenRefused`.
    """
    from tasks.forecast.guarded import foresee_change

    rows, guard = await foresee_change(services, connection, loaded)
    async for one in rows:
        change.counts[one.foreseen.would] += 1
        deed = _name_deed(one, change.operation)
        if one.foreseen.would is Would.DO:
            change.deeds[deed] += 1
        else:
            change.because[one.foreseen.code] += 1
        put(_line(one, deed))
    return guard.unread if guard is not None else ""


def _name_deed(one: ForeseenRow, operation: str) -> str:
    then = one.row.get(THEN)
    if one.foreseen.would is not Would.DO or not then:
        return one.foreseen.would.told(operation)
    return then if isinstance(then, str) else " ".join(then)


def _line(one: ForeseenRow, deed: str) -> str:
    why = one.foreseen.why or (str(one.row.get(WHY, "")) if one.foreseen.would is Would.DO else "")
    address = clean(one.row.get("email") or "(no address)")
    if new := one.row.get(NEW_EMAIL):
        address += f" → {clean(new)}"
    return line_of(str(one.number), deed, address, clean(why))
