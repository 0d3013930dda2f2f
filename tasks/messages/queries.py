"""Producers may do more than invite: read a job or its results, cancel it, check a connection."""

from __future__ import annotations

import re
from typing import Any

from config.errors import UnknownConnection
from tasks.checks.connection import check_connection
from tasks.messages.refusals import Refused, answer, read_arguments, refuse_unknown, take_number, take_text
from tasks.messages.views import no_such_job, public_record, view_of
from worker.app import app
from worker.plain_word import plain_word
from worker.process.runtime import runtime

MOST_RESULTS = 1000
_JOB_ID = re.compile(r"[a-z2-7]{10}(?:[a-z2-7]{6})?")


@app.task(name="usher.job", ignore_result=False)
def job(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a job's state and counts: `job(id)`."""

    def work() -> dict[str, Any]:
        given = read_arguments("usher.job", args, kwargs)
        wanted = _take_job(given)
        refuse_unknown(given, ("id",))
        return runtime.run(view_of(runtime.parts.services, wanted))

    return answer(work)


@app.task(name="usher.results", ignore_result=False)
def results(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return rows of a job as they stand: `results(id, after=0, limit=500)`; ids and verdicts,
    never an address or a link.

    `next` is the `after` of the next call, absent when these were the last.
    """

    def work() -> dict[str, Any]:
        given = read_arguments("usher.results", args, kwargs)
        wanted = _take_job(given)
        after = int(take_number(given, "after", 0, most=1e12))
        limit = int(take_number(given, "limit", 500, least=1, most=MOST_RESULTS))
        refuse_unknown(given, ("id", "after", "limit"))
        return runtime.run(_results(wanted, after, limit))

    return answer(work)


@app.task(name="usher.cancel", ignore_result=False)
def cancel(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Cancel a job: `cancel(id)`. Rows not yet sent are cancelled; rows on the wire end as what
    they are.
    """

    def work() -> dict[str, Any]:
        given = read_arguments("usher.cancel", args, kwargs)
        wanted = _take_job(given)
        refuse_unknown(given, ("id",))
        return runtime.run(_cancel(wanted))

    return answer(work)


@app.task(name="usher.check", ignore_result=False)
def check(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Check a connection from where the workers are: `check(connection)` → `{"ok": bool,
    "findings": [{"ok", "what"}, …]}`.
    """

    def work() -> dict[str, Any]:
        given = read_arguments("usher.check", args, kwargs)
        name = take_text(given, "connection")
        refuse_unknown(given, ("connection",))
        if plain_word(name) != name:
            raise Refused("connection is not the name of a connection: small letters, digits and -.")
        services = runtime.parts.services
        try:
            services.connection(name)
        except UnknownConnection as error:  # a refusal as everywhere, and a check that did not go well
            finding = {"ok": False, "what": str(error)}
            return {**Refused(str(error)).result(), "connection": name, "ok": False, "findings": [finding]}
        findings = runtime.run(check_connection(services, name))
        return {
            "connection": name,
            "ok": all(finding.ok for finding in findings),
            "findings": [{"ok": finding.ok, "what": finding.what} for finding in findings],
        }

    return answer(work)


def _take_job(given: dict[str, Any]) -> str:
    wanted = take_text(given, "id")
    if not _JOB_ID.fullmatch(wanted):  # never asked of Redis: ids are parts of its keys
        raise Refused(*no_such_job(wanted)["errors"])
    return wanted


async def _results(wanted: str, after: int, limit: int) -> dict[str, Any]:
    services = runtime.parts.services
    view = await services.jobs.view(wanted)
    if view is None:
        return no_such_job(wanted)
    rows = [public_record(record) async for record in services.jobs.rows.results(wanted, after=after, limit=limit)]
    page: dict[str, Any] = {"job": wanted, "state": view.state.value, "rows": rows}
    if rows and rows[-1]["row"] < view.counts.rows:
        page["next"] = rows[-1]["row"]
    return page


async def _cancel(wanted: str) -> dict[str, Any]:
    services = runtime.parts.services
    await services.jobs.cancel(wanted, "cancelled by a producer")
    return await view_of(services, wanted)
