"""What producers ask for: one guest, whom somebody waits for, or a list of up to 1,000. `docs/producers.md` is the contract.

The job's id follows from the Celery task's id (or from `key`), so the same message twice is the same job. A message that cannot be
accepted is answered with a refusal; only its rows' entry into the ledger makes them accepted.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from tasks.errors import InputError
from tasks.fields import FIELDS
from tasks.refusals import Refused, read_arguments, refuse_unknown, take_number, take_text
from tasks.rows import BadRow, validate_defaults, validate_record
from tasks.submit import job_id_of, load_message
from tasks.views import outcome_of, view_of
from worker.app import app
from worker.model import Lane, Options
from worker.runtime import Parts, runtime
from worker.services import Services

log = logging.getLogger(__name__)

MOST_ROWS = 1000
"""Rows in one message: about 220 kB. Longer lists come in several messages, or through the CLI."""
MOST_WAIT_S = 600.0
_LOOK_EVERY_S = 0.2


@app.task(name="usher.invite_guest", bind=True, ignore_result=False, acks_late=True, queue="celery")
def invite_guest(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Invite one guest ahead of bulk work: `invite_guest(connection, email, wait_s=30, **fields)`.

    Returns the outcome (`{"status": "invited", "job", "row", "user_id", …}`); after `wait_s` seconds without one `{"status":
    "pending", "job", "row", "why"}`, and the row goes on by itself; `{"status": "refused", "errors": […]}` when nothing was accepted.
    """
    try:
        return runtime.run(_invite_guest(runtime.parts, str(self.request.id), args, kwargs))
    except Refused as refused:
        return refused.result()
    finally:
        runtime.wake()


@app.task(name="usher.invite_guests", bind=True, ignore_result=False, acks_late=True, queue="celery")
def invite_guests(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Invite a list: `invite_guests(connection, rows, key=None, **defaults)`, up to 1,000 rows (dicts of fields).

    Returns `{"job": id, "state", "rows", "invited", …}` at once; an invalid row ends `failed` (`invalid_row`) while the others go.
    The same `key` on the same connection is the same job.
    """
    try:
        return runtime.run(_invite_guests(runtime.parts.services, str(self.request.id), args, kwargs))
    except Refused as refused:
        return refused.result()
    finally:
        runtime.wake()


async def _invite_guest(parts: Parts, task_id: str, args: Any, kwargs: Any) -> dict[str, Any]:
    services = parts.services
    given = read_arguments(args, kwargs, names=("connection", "email", "wait_s"))
    connection = _connection(services, take_text(given, "connection"))
    wait_s = take_number(given, "wait_s", 30.0, most=MOST_WAIT_S)
    options = _options(given)
    refuse_unknown({name: value for name, value in given.items() if name not in FIELDS}, (*FIELDS, "wait_s", "resend"))
    row = validate_record(given, 1)
    if isinstance(row, BadRow):
        raise Refused(f"{row.column or 'the row'} {row.reason}.")
    deadline = asyncio.get_running_loop().time() + wait_s
    job = job_id_of(task_id)
    await load_message(services.jobs, connection, [row], job=job, lane=Lane.NOW, options=options, info=_info(task_id))
    # Past the dispatcher: its message would come to this very worker, a few milliseconds later.
    ticket = await services.ledger.offer(job, 0, connection.name, Lane.NOW)
    if ticket is not None:
        await parts.runner.run(ticket)
    while True:
        outcome = await outcome_of(services, job)
        left_s = deadline - asyncio.get_running_loop().time()
        if outcome["status"] != "pending" or left_s <= 0:
            return outcome
        await asyncio.sleep(min(_LOOK_EVERY_S, left_s))


async def _invite_guests(services: Services, task_id: str, args: Any, kwargs: Any) -> dict[str, Any]:
    given = read_arguments(args, kwargs, names=("connection", "rows", "key"))
    connection = _connection(services, take_text(given, "connection"))
    rows = given.pop("rows", None)
    key = take_text(given, "key", required=False)
    options = _options(given)
    if not isinstance(rows, list) or not rows:
        raise Refused("rows must be a list of at least one object.")
    if len(rows) > MOST_ROWS:
        raise Refused(f"{len(rows)} rows are more than the {MOST_ROWS} a message may bring; send several messages.")
    errors = [f"row {number}: is not an object." for number, row in enumerate(rows, 1) if not isinstance(row, dict)]
    if errors:
        raise Refused(*errors[:20])
    for name in dict.fromkeys(name for row in rows for name in row):
        refuse_unknown({} if name in FIELDS else {name: None}, FIELDS)
    refuse_unknown({name: value for name, value in given.items() if name not in FIELDS}, (*FIELDS, "key", "resend"))
    try:
        defaults = validate_defaults(given)
    except InputError as error:
        raise Refused(str(error)) from None
    checked = [validate_record(row, number, None, defaults) for number, row in enumerate(rows, 1)]
    job = job_id_of(f"{connection.name} {key}" if key else task_id)
    await load_message(services.jobs, connection, checked, job=job, lane=Lane.BULK, options=options, info=_info(task_id))
    return await view_of(services, job)


def _connection(services: Services, name: str) -> Any:
    from config import ConfigError

    try:
        return services.connection(name)
    except ConfigError as error:
        raise Refused(str(error)) from None


def _options(given: dict[str, Any]) -> Options:
    resend = given.pop("resend", False)
    if not isinstance(resend, bool):
        raise Refused("resend must be true or false.")
    return Options(resend=resend)


def _info(task_id: str) -> dict[str, Any]:
    return {"by": "producer", "task": task_id}
