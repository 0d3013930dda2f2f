"""What a look at a list has found is told as a page shows it, in values that JSON can hold: through
one connection, or several with a line a tenant. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tasks.forecast.dry_run import SHOWN_DOMAINS
from tasks.forecast.plan import Plan
from tasks.forecast.several import Plans, say_once
from tasks.forecast.tally import add_up
from tasks.rows.row import BadRow
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from tasks.forecast.dry_run import Forecast
    from tasks.submission.request import Request

_SHOWN_BAD: Final = 100
_COUNTS: Final = ("rows", "to_send", "now", "mails", "known", "refused", "bad", "blocked", "duplicates")


def describe_found(
    told: Plan, forecast: Forecast, request: Request, bad: Sequence[BadRow], rows: list[list[Any]]
) -> dict[str, Any]:
    """Return what a page shows of a look through one connection. `rows`: that would not go."""
    never = OPERATIONS[request.operation].never_known
    return {
        "tenants": [],
        "tenant": told.tenant,
        "rows": told.rows,
        "to_send": told.to_send,
        "now": told.pilot or told.to_send,
        "pilot": told.pilot,
        "mails": told.mails,
        "known": told.known,
        "refused": told.refused,
        "bad": told.bad,
        "blocked": told.blocked,
        "duplicates": told.duplicates,
        "seconds": told.seconds,
        "at_most": told.at_most,
        "rehearsal": told.rehearsal,
        "mailed_by": told.mailed_by,
        "needs_approval": told.needs_approval,
        "to_type": told.connection if told.wants_name and not told.rehearsal else "",
        "risks": list(told.risks),
        "warnings": list(request.guests.warnings) if request.guests else [],
        "lines": [list(line) for line in forecast.lines()],
        "skipped": rows,
        "bad_rows": tell_bad(bad),
        "domains": [
            [note.domain, note.rows, note.looks_like or "", note.private] for note in forecast.notes[:SHOWN_DOMAINS]
        ],
        "stages": [
            {
                "name": stage.name,
                "guests": stage.guests,
                "into": [[target.title or target.name, guests] for target, guests in stage.usable[:60]],
            }
            for stage in told.stages
        ],
        "not_checked": [*(str(gap) for gap in forecast.gaps), *([never] if never else [])],
    }


def tell_bad(rows: Sequence[BadRow]) -> list[list[Any]]:
    """Return bad rows as a page shows them: line, column, what is wrong, what stands there."""
    return [[row.line or row.number, row.column, row.reason, row.email] for row in rows[:_SHOWN_BAD]]


def describe_found_through(
    found: Sequence[tuple[Plan, Forecast]],
    unasked: Sequence[tuple[str, str]],
    request: Request,
    bad: Sequence[BadRow],
    rows: list[list[Any]],
    nobodys: int = 0,
) -> dict[str, Any]:
    """Return the same of several connections: the sum of what is told of each, and `tenants` with a
    line for each. `nobodys`: bad rows that are no connection's.
    """
    plans = Plans([plan for plan, _ in found], [(name, f"nobody could look: {why}") for name, why in unasked])
    each = [describe_found(plan, forecast, request, (), []) for plan, forecast in found]
    tally = add_up([forecast for _, forecast in found], request.operation)
    rehearsal = all(one["rehearsal"] for one in each)
    notes = tally.notes[:SHOWN_DOMAINS]
    return {
        **each[0],
        **{name: sum(one[name] for one in each) + nobodys * (name in ("rows", "bad")) for name in _COUNTS},
        "tenants": [_line(plan, one) for plan, one in zip(plans.plans, each, strict=True)],
        "nobodys": nobodys,
        "pilot": sum(one["now"] for one in each) if each[0]["pilot"] else 0,
        "seconds": max(one["seconds"] for one in each),
        "at_most": any(one["at_most"] for one in each),
        "rehearsal": rehearsal,
        "mailed_by": "; ".join(dict.fromkeys(one["mailed_by"] for one in each if one["mailed_by"])),
        "needs_approval": any(one["needs_approval"] for one in each),
        "to_type": str(len(each)) if plans.wants_number and not rehearsal else "",
        "risks": plans.risks,
        "lines": [list(line) for line in tally.lines()],
        "skipped": rows,
        "bad_rows": tell_bad(bad),
        "domains": [[note.domain, note.rows, note.looks_like or "", note.private] for note in notes],
        "stages": _stages([stage for one in each for stage in one["stages"]]),
        "not_checked": say_once(
            (plan.connection, gap) for (plan, _), one in zip(found, each, strict=True) for gap in one["not_checked"]
        ),
    }


def _line(plan: Plan, told: Mapping[str, Any]) -> dict[str, Any]:
    not_sent = told["bad"] + told["duplicates"] + told["blocked"] + told["refused"]
    shown = ("tenant", "to_send", "mails", "known", "seconds", "needs_approval")
    return {"connection": plan.connection, **{name: told[name] for name in shown}, "not_sent": not_sent}


def _stages(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    summed: dict[str, dict[str, Any]] = {}
    for stage in told:
        one = summed.setdefault(stage["name"], {"name": stage["name"], "guests": 0, "into": {}})
        one["guests"] += stage["guests"]
        for title, guests in stage["into"]:
            one["into"][title] = one["into"].get(title, 0) + guests
    return [{**one, "into": [[title, guests] for title, guests in one["into"].items()]} for one in summed.values()]
