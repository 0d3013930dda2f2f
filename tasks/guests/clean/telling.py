"""What a clean-up would do, or did, is told in sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.guests.clean.plan import CleanPlan
from tasks.telling.words import line_of, many, number
from worker.operations.clean.policy import Deed, Stays
from worker.operations.row_fields import THEN, WHY

_LEFT: Mapping[Stays, str] = {
    Stays.MEMBER: "members of the tenant",
    Stays.ROLE_HOLDER: "who hold, or may take, a directory role",
    Stays.NOT_INVITED: "who did not come by an invitation",
    Stays.SPARED: "spared",
    Stays.BLOCKED: "disabled already",
    Stays.REMINDED: "reminded lately, or often enough",
    Stays.NO_ADDRESS: "without an address",
    Stays.NOT_DUE: "not due",
    Stays.OTHERWISE_DUE: "due to something that is not done now",
}


def tell_line(number_: int, row: Mapping[str, Any]) -> str:
    """Return the line of one guest to whom something is due."""
    return line_of(str(number_), row[THEN], row["email"], row[WHY])


def tell_due(plan: CleanPlan) -> str:
    """Return how many guests each kind is due to: `3 guests to remind, none to disable`."""
    kinds = [f"{number(count)} to {deed}" for deed, count in plan.would.items() if count]
    return f"Of {many(plan.guests, 'guest')}: {', '.join(kinds) or 'nobody to whom anything is due'}"


def tell_left(plan: CleanPlan) -> str:
    """Return why the others are left alone."""
    left = [f"{number(plan.left[stays])} {words}" for stays, words in _LEFT.items() if plan.left[stays]]
    return f"Left alone: {', '.join(left)}." if left else ""


def tell_withheld(plan: CleanPlan, connection: str) -> list[str]:
    """Return a sentence for each kind that is beyond its ceiling."""
    return [_tell_ceiling(setting, plan.due(deed), deed, connection) for setting, deed in plan.withheld.items()]


def _tell_ceiling(setting: str, due: int, deed: Deed, connection: str) -> str:
    return (
        f"{setting}: {many(due, 'guest')} to {deed} is more than connections.{connection}.clean.{setting} allows, so"
        f" nothing of that kind is done: look at them, then raise the setting or spare them."
    )
