"""Producers may do more than invite: read a job or its results, cancel it, check a connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from config.errors import UnknownConnection
from tasks.checks.connection import check_connection
from tasks.messages.refusals import Refused, answer, read_arguments, refuse_unknown, take_number, take_text
from tasks.messages.senders import check_bound, find_own, find_sender
from tasks.messages.views import no_such_job, public_record, seen_by, view_of
from worker.app import app
from worker.ledger.audit.account import acting_as
from worker.plain_word import plain_word
from worker.process.runtime import runtime

if TYPE_CHECKING:
    from config.console import Producer

MOST_RESULTS = 1000


@app.task(name="usher.job", bind=True, ignore_result=False)
def job(self: Any, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a job's state and counts: `job(id)`."""
    return _of_job(self, args, kwargs, _job)


@app.task(name="usher.results", bind=True, ignore_result=False)
def results(self: Any, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return rows of a job as they stand: `results(id, after=0, limit=500)`; ids and verdicts,
    never an address or a link.

    `next` is the `after` of the next call, absent when these were the last.
    """

    def work() -> dict[str, Any]:
        producer = runtime.run(find_sender(self.request, runtime.parts.services))
        given = read_arguments("usher.results", args, kwargs)
        wanted = take_text(given, "id")
        after = int(take_number(given, "after", 0, most=1e12))
        limit = int(take_number(given, "limit", 500, least=1, most=MOST_RESULTS))
        refuse_unknown(given, ("id", "after", "limit"))
        return runtime.run(_results(producer, wanted, after, limit))

    return answer(work)


@app.task(name="usher.cancel", bind=True, ignore_result=False)
def cancel(self: Any, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Cancel a job: `cancel(id)`. Rows not yet sent are cancelled; rows on the wire end as what
    they are.
    """
    return _of_job(self, args, kwargs, _cancel)


def _of_job(
    task: Any, args: Any, kwargs: Any, tell: Callable[[Producer | None, str], Coroutine[Any, Any, dict[str, Any]]]
) -> dict[str, Any]:
    """Answer a message that brings the id of a job and nothing else."""

    def work() -> dict[str, Any]:
        producer = runtime.run(find_sender(task.request, runtime.parts.services))
        given = read_arguments(task.name, args, kwargs)
        wanted = take_text(given, "id")
        refuse_unknown(given, ("id",))
        return runtime.run(tell(producer, wanted))

    return answer(work)


@app.task(name="usher.check", bind=True, ignore_result=False)
def check(self: Any, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Check a connection from where the workers are: `check(connection)` → `{"ok": bool,
    "findings": [{"ok", "what"}, …]}`.
    """

    def work() -> dict[str, Any]:
        producer = runtime.run(find_sender(self.request, runtime.parts.services))
        given = read_arguments("usher.check", args, kwargs)
        name = take_text(given, "connection")
        refuse_unknown(given, ("connection",))
        if plain_word(name) != name:
            raise Refused("connection is not the name of a connection: small letters, digits and -.")
        services = runtime.parts.services
        runtime.run(check_bound(services, producer, name))
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


async def _job(producer: Producer | None, wanted: str) -> dict[str, Any]:
    services = runtime.parts.services
    if await find_own(services, producer, wanted) is None:
        return no_such_job(wanted)
    return await view_of(services, wanted)


async def _results(producer: Producer | None, wanted: str, after: int, limit: int) -> dict[str, Any]:
    services = runtime.parts.services
    view = await find_own(services, producer, wanted)
    if view is None:
        return no_such_job(wanted)
    rows = [
        seen_by(producer, public_record(record))
        async for record in services.jobs.rows.results(wanted, after=after, limit=limit)
    ]
    page: dict[str, Any] = {"job": wanted, "state": view.state.value, "rows": rows}
    if rows and rows[-1]["row"] < view.counts.rows:
        page["next"] = rows[-1]["row"]
    return page


async def _cancel(producer: Producer | None, wanted: str) -> dict[str, Any]:
    services = runtime.parts.services
    if await find_own(services, producer, wanted) is None:
        return no_such_job(wanted)
    with acting_as(f"producer {producer.name}") if producer else nullcontext():
        await services.jobs.cancel(wanted, "cancelled by a producer")
    return await view_of(services, wanted)
