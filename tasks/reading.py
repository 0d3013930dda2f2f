"""What producers may read and do besides inviting: a job, its results, cancelling it, checking a connection."""

from __future__ import annotations

from typing import Any

from tasks.checks import check_connection
from tasks.refusals import Refused, read_arguments, refuse_unknown, take_number, take_text
from tasks.views import public_record, view_of
from worker.app import app
from worker.runtime import runtime

MOST_RESULTS = 1000


@app.task(name="usher.job", ignore_result=False, queue="celery")
def job(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a job's state and counts: `job(id)`."""
    try:
        given = read_arguments(args, kwargs, names=("id",))
        wanted = take_text(given, "id")
        refuse_unknown(given, ("id",))
        return runtime.run(view_of(runtime.parts.services, wanted))
    except Refused as refused:
        return refused.result()


@app.task(name="usher.results", ignore_result=False, queue="celery")
def results(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return rows of a job as they stand: `results(id, after=0, limit=500)`; ids and verdicts, never an address or a link.

    `next` is the `after` of the next call, absent when these were the last.
    """
    try:
        given = read_arguments(args, kwargs, names=("id", "after", "limit"))
        wanted = take_text(given, "id")
        after = int(take_number(given, "after", 0, most=1e12))
        limit = int(take_number(given, "limit", 500, most=MOST_RESULTS))
        refuse_unknown(given, ("id", "after", "limit"))
        return runtime.run(_results(wanted, after, limit))
    except Refused as refused:
        return refused.result()


@app.task(name="usher.cancel", ignore_result=False, queue="celery")
def cancel(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Cancel a job: `cancel(id)`. Rows not yet sent are cancelled; rows on the wire end as what they are."""
    try:
        given = read_arguments(args, kwargs, names=("id",))
        wanted = take_text(given, "id")
        refuse_unknown(given, ("id",))
        return runtime.run(_cancel(wanted))
    except Refused as refused:
        return refused.result()


@app.task(name="usher.check", ignore_result=False, queue="celery")
def check(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Check a connection from where the workers are: `check(connection)` → `{"ok": bool, "findings": [{"ok", "what"}, …]}`."""
    try:
        given = read_arguments(args, kwargs, names=("connection",))
        name = take_text(given, "connection")
        refuse_unknown(given, ("connection",))
        findings = runtime.run(check_connection(runtime.parts.services, name))
    except Refused as refused:
        return refused.result()
    return {
        "connection": name,
        "ok": all(finding.ok for finding in findings),
        "findings": [{"ok": finding.ok, "what": finding.what} for finding in findings],
    }


async def _results(wanted: str, after: int, limit: int) -> dict[str, Any]:
    services = runtime.parts.services
    view = await services.jobs.view(wanted)
    if view is None:
        return await view_of(services, wanted)
    rows = [public_record(record) async for record in services.jobs.results(wanted, after=after, limit=limit)]
    answer: dict[str, Any] = {"job": wanted, "state": view.state.value, "rows": rows}
    if rows and rows[-1]["row"] < view.counts.rows:
        answer["next"] = rows[-1]["row"]
    return answer


async def _cancel(wanted: str) -> dict[str, Any]:
    services = runtime.parts.services
    await services.jobs.cancel(wanted, "cancelled by a producer")
    return await view_of(services, wanted)
