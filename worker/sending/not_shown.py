"""A guest who was just invited is not known everywhere in the directory at once: whatever comes
next waits for that, for a while. Pure.

Looked for again after half the guest's age: rarely much longer than it takes, and seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.ledger.model import Outcome, Row, RowState
from worker.ledger.why_waiting import Rest, Stop

_LEAST_S = 2.0
_MOST_S = 30.0
_GIVEN_UP_S = 600.0
"""https://learn.microsoft.com/entra/fundamentals/whatis promises nothing; minutes are seen, ten
minutes hardly ever.
"""
TOGETHER_S = 60.0
"""So long a call that covers several rows waits for all of their guests."""
SEVERAL = 3
"""So many unknown guests speak of the directory; one or two may be gone."""


def age_s(row: Row, now_ms: int) -> float:
    """Return for how long an item's guest has been in the tenant."""
    return max(0.0, (now_ms - int(row.get("since") or 0)) / 1000)


def wait_or_end(index: int, row: Row, now_ms: int) -> Stop | Outcome:
    """Return until when an item waits whose guest is not shown, or how it ends."""
    age = age_s(row, now_ms)
    if age < _GIVEN_UP_S:
        return Stop(Rest.DIRECTORY, min(_MOST_S, max(_LEAST_S, age / 2)))
    return Outcome(
        index,
        RowState.FAILED,
        user_id=str(row.get("user_id") or ""),
        code="not_in_directory",
        message=(
            "Not done: ten minutes after the invitation the directory does not show this guest yet. usher jobs retry"
            " tries again; if the guest was deleted meanwhile, invite them again."
        ),
        at_ms=now_ms,
    )


def wait_together(
    rows: Sequence[Row], tried: Sequence[int], aside: Mapping[int, Stop], left: Sequence[int], now_ms: int
) -> dict[int, Stop]:
    """Return until when others wait too, where the directory knew none of those that were tried: it
    will not know who is younger, and each try is a call. `left`: rows that are still to be done.
    """
    unknown = [i for i in tried if i in aside and aside[i].why is Rest.DIRECTORY]
    if len(unknown) < len(tried) or len(tried) < SEVERAL:
        return {}
    oldest = max(age_s(rows[i], now_ms) for i in tried)
    others = [i for i in left if i not in aside and rows[i].get("new") and age_s(rows[i], now_ms) <= oldest]
    waits = {i: wait_or_end(i, rows[i], now_ms) for i in others}
    return {i: stop for i, stop in waits.items() if isinstance(stop, Stop)}
