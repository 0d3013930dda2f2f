"""What is told of a list that was taken in: in numbers and sentences, the same at its repeat as far
as the ledger keeps it. What is wrong with a bad row is read from how it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from console.faults import Fault
from console.v1.fields import as_fields
from console.v1.orders import rows_of
from tasks.rows.row import read_bad

if TYPE_CHECKING:
    from console.access.viewer import Viewer
    from tasks.submission.request import Request
    from tasks.submit import Loaded
    from worker.ledger.job_rows import JobRows
    from worker.ledger.job_view import JobView
    from worker.services import Services

SHOWN_BAD: Final = 50
TAKEN_IN: Final = "taken_in"
"""What a job's `info` keeps of the numbers that were told of its list."""
_INVALID: Final = "invalid_row"


def risks_for(services: Services, viewer: Viewer, connections: Iterable[str], risks: Iterable[str]) -> list[str]:
    """Return what the command warns of as a program is told it. A producer is told nothing of other
    connections of the tenant.
    """
    unsaid = services.settings().tell_twins(connections) if viewer.bound else ()
    return [as_fields(risk) for risk in risks if not any(one in risk for one in unsaid)]


def numbers_of(loaded: Loaded) -> dict[str, int]:
    """Return the numbers of a list, of which the ledger's counts know nothing later."""
    return {"to_send": loaded.to_send, "bad": loaded.bad_count}


def tell_loaded(request: Request, loaded: Loaded, warnings: Sequence[str]) -> dict[str, Any]:
    """Return what is told of a list that was just taken in."""
    of_list = request.guests.warnings if request.guests else ()
    return {
        "rows": loaded.rows,
        **numbers_of(loaded),
        "errors": tell_faults(rows_of(loaded.bad[:SHOWN_BAD])),
        "warnings": [as_fields(warning) for warning in (*of_list, *warnings)],
    }


async def tell_again(rows: JobRows, views: Sequence[JobView], warning: str) -> dict[str, Any]:
    """Return what is told of a list that was taken in before. `views`: its jobs."""
    numbers: dict[str, int] = next((view.info[TAKEN_IN] for view in views if TAKEN_IN in view.info), {})
    errors = await _read_faults(rows, views, numbers["bad"]) if numbers.get("bad") else []
    return {
        "rows": sum(view.counts.rows for view in views),
        **numbers,
        "errors": tell_faults(errors),
        "warnings": [warning],
    }


def tell_faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """Return faults as they are answered."""
    return [fault.model_dump(exclude_none=True) for fault in faults]


async def _read_faults(rows: JobRows, views: Sequence[JobView], bad: int) -> list[Fault]:
    """Return the faults of the first bad rows, as many as are shown. Of several jobs a row's number
    in the list is known only where its fault names it.
    """
    found: list[Fault] = []
    for view in views:
        if len(found) >= min(bad, SHOWN_BAD):
            break
        async for contents in rows.chunks(view.id):
            for index, outcome in enumerate(contents.outcomes):
                if outcome is None or outcome.code != _INVALID:
                    continue
                number, line, column, reason = read_bad(outcome.message)
                if number is None and len(views) == 1:
                    number = contents.base + index
                found.append(Fault(field=column, reason=f"{reason[:1].upper()}{reason[1:]}", row=number, line=line))
            if len(found) >= min(bad, SHOWN_BAD):
                break
    return sorted(found, key=lambda fault: fault.line or fault.row or 0)[:SHOWN_BAD]
