"""Producers ask for one guest, whom somebody waits for, or for a list of up to 1,000.
`docs/producers.md` is the contract.

The job's id follows from the Celery task's id (or from `key`), so the same message twice is the
same job. A message that cannot be accepted is answered with a refusal; only its rows' entry into
the ledger makes them accepted, and with it the message is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError, UnknownConnection, UnreadConnection
from tasks.errors import InputError
from tasks.messages.refusals import Refused, answer, read_arguments, refuse_unknown, take_number, take_text
from tasks.messages.senders import check_admitted, check_bound, check_day, describe_sender, find_sender
from tasks.messages.views import outcome_of, pending, seen_by, view_of
from tasks.producers import note_refusal, notify_hosts, settle_day
from tasks.rows.fields import FIELDS
from tasks.rows.row import BadRow, ValidRow, validate_defaults, validate_record
from tasks.submit import Follows, job_id_of, load_message, sender_of
from worker.app import app
from worker.channels import INVITE
from worker.ledger.model import JobState, Lane, Options
from worker.ledger.notices import FROM_MESSAGE
from worker.plain_word import plain_word
from worker.process.guest_wait import waiting
from worker.process.requests import acknowledge
from worker.process.runtime import Parts, runtime
from worker.services import Services
from worker.store.client import OUTAGE, keep_trying

if TYPE_CHECKING:
    from config.connections import Connection
    from config.console import Producer
    from tasks.submit import Loaded

MOST_ROWS = 1000
"""Rows in one message: about 220 kB. Longer lists come in several messages, or through the CLI."""
MOST_WAIT_S = 600.0
_LOOK_EVERY_S = 0.2
_IN_WORK_S = 0.02
_ACCEPT_FOR_S = 600.0  # how long a message is held while Redis is away; after that it goes back to its queue
_LOADED_ELSEWHERE_S = 0.5


@app.task(name="usher.invite_guest", bind=True, ignore_result=False, acks_late=True)
def invite_guest(self: Any, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Invite one guest ahead of bulk work: `invite_guest(connection, email, wait_s=30, **fields)`.

    Returns the outcome (`{"status": "invited", "job", "row", "user_id", …}`); after `wait_s`
    seconds without one `{"status": "pending", "job", "row", "why"}`, and the row goes on by itself;
    `{"status": "refused", "errors": […]}` when nothing was accepted.
    """
    task_id = str(self.request.id)

    def work() -> dict[str, Any]:
        producer, connection, job, wait_s = runtime.run(
            _accept_guest(runtime.parts.services, self.request, args, kwargs)
        )
        acknowledge(task_id)
        return seen_by(producer, runtime.run(_await_guest(runtime.parts, connection, job, wait_s)))

    try:
        return answer(work)
    finally:
        runtime.wake()


@app.task(name="usher.invite_guests", bind=True, ignore_result=False, acks_late=True)
def invite_guests(self: Any, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Invite a list: `invite_guests(connection, rows, key=None, **defaults)`, up to 1,000 rows
    (dicts of fields).

    Returns `{"job": id, "state", "rows", "invited", …}` at once; an invalid row ends `failed`
    (`invalid_row`) while the others go. The same `key` on the same connection is the same job.
    """
    try:
        return answer(lambda: runtime.run(_accept_guests(runtime.parts.services, self.request, args, kwargs)))
    finally:
        runtime.wake()


async def _accept_guest(
    services: Services, request: Any, args: Any, kwargs: Any
) -> tuple[Producer | None, str, str, float]:
    """Put one guest into the ledger. Returns whose it is, the connection's name, the job and how
    long to wait for it.
    """
    producer = await find_sender(request, services)
    given = read_arguments("usher.invite_guest", args, kwargs)
    connection = await _connection(services, producer, take_text(given, "connection"))
    wait_s = take_number(given, "wait_s", 30.0, most=MOST_WAIT_S)
    options = _options(given)
    refuse_unknown(given, (*FIELDS, "wait_s", "resend"))
    row = validate_record(given, 1)
    if isinstance(row, BadRow):
        raise Refused(f"{row.column or 'the row'} {row.reason}.")
    info = describe_sender(request, producer)
    job = job_id_of(Follows.GUEST, connection.name, info["task"], *_whose(producer))
    await _load(services, connection, [row], job, Lane.NOW, options, info, producer)
    return producer, connection.name, job, wait_s


async def _await_guest(parts: Parts, connection: str, job: str, wait_s: float) -> dict[str, Any]:
    """Send it from here, and wait: as long as Microsoft's answer is awaited, and longer while there
    is a place to wait in.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + wait_s
    if wait_s == 0 and (outcome := await _look(parts.services, job))["status"] != "pending":
        return outcome
    view = await parts.services.jobs.view(job) if parts.services.connection(connection).require_approval else None
    if view is not None and view.awaits_approval:
        return pending(job, view.why)  # by nobody within the seconds that somebody waits here
    run = waiting.start(_run(parts, connection, job))
    if wait_s == 0:
        return pending(job, "It was taken in and goes on by itself; wait_s is 0, so nobody waits for it here.")
    await asyncio.wait({run}, timeout=wait_s)
    outcome = await _look(parts.services, job)
    if outcome["status"] != "pending" or not run.done():
        return outcome
    with waiting.place() as free:
        while free and outcome["status"] == "pending" and (left_s := deadline_s - loop.time()) > 0:
            await asyncio.sleep(min(_LOOK_EVERY_S, left_s))
            outcome = await _look(parts.services, job)
    return outcome


async def _run(parts: Parts, connection: str, job: str) -> None:
    # Past the dispatcher: its message would come to this very worker, a few milliseconds later.
    ticket = await parts.services.ledger.offers.make(job, 0, connection, Lane.NOW)
    if ticket is not None:
        await parts.runner.run(ticket)
        return
    # A dispatcher was quicker, perhaps another worker's: no event here tells of its end
    while await parts.services.ledger.offers.is_begun(job):  # noqa: ASYNC110
        await asyncio.sleep(_IN_WORK_S)


async def _look(services: Services, job: str) -> dict[str, Any]:
    try:
        return await outcome_of(services, job)
    except OUTAGE:
        return pending(job, "Redis is away; the row is in it and goes on when it is back.")


async def _accept_guests(services: Services, request: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    producer = await find_sender(request, services)
    given = read_arguments("usher.invite_guests", args, kwargs)
    connection = await _connection(services, producer, take_text(given, "connection"))
    rows = _rows(given.pop("rows", None))
    key = take_text(given, "key", required=False)
    options = _options(given)
    info = describe_sender(request, producer) | await _notify(services, producer, given)
    refuse_unknown(given, (*FIELDS, "key", "resend", "notify"))
    try:
        defaults = validate_defaults(given)
    except InputError as error:
        raise Refused(str(error)) from None
    checked = [validate_record(row, number, None, defaults) for number, row in enumerate(rows, 1)]
    if key:
        # Whose token it is, says more than what a task id says of its sender
        sender = (sender_of(info["task"]),) if producer is None else ("", *_whose(producer))
        job = job_id_of(Follows.KEY, connection.name, *sender, key)
    else:
        job = job_id_of(Follows.LIST, connection.name, info["task"], *_whose(producer))
    await _load(services, connection, checked, job, Lane.BULK, options, info, producer)
    return await keep_trying(lambda: view_of(services, job), _ACCEPT_FOR_S)


def _whose(producer: Producer | None) -> tuple[str, ...]:
    """What of a producer a job's id follows from: no two ever meet in a job."""
    return () if producer is None else (f"producer {producer.name}",)


async def _notify(services: Services, producer: Producer | None, given: dict[str, Any]) -> dict[str, str]:
    from config.notify import accept_from_message

    if (target := given.pop("notify", None)) is None:
        return {}
    notify = services.settings().notify
    try:
        told = accept_from_message(target, notify_hosts(services.settings(), producer), signed=bool(notify.secret))
    except ValueError as error:
        await note_refusal(services, producer, f"notify: it {error}.")
        raise Refused(f"notify {error}.") from None
    return {"notify": told, "notify_from": FROM_MESSAGE}


def _rows(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given:
        raise Refused("rows must be a list of at least one object.")
    if len(given) > MOST_ROWS:
        raise Refused(f"{len(given)} rows are more than the {MOST_ROWS} a message may bring; send several messages.")
    errors = [f"row {number}: is not an object." for number, row in enumerate(given, 1) if not isinstance(row, dict)]
    if errors:
        raise Refused(*errors)
    refuse_unknown(dict.fromkeys(name for row in given for name in row), FIELDS)
    return given


async def _load(
    services: Services,
    connection: Connection,
    rows: list[ValidRow | BadRow],
    job: str,
    lane: Lane,
    options: Options,
    info: dict[str, str],
    producer: Producer | None,
) -> None:
    """Return when the rows are in the ledger, by this message or by the same one before it."""
    rows = [_storable(row) if isinstance(row, BadRow) else row for row in rows]

    async def admitted(loaded: Loaded) -> None:
        await check_admitted(services, producer, loaded)

    async def load() -> bool:
        await check_day(services, producer, job, len(rows))
        await load_message(
            services.jobs, connection, rows, job=job, lane=lane, options=options, info=info, admit=admitted
        )
        await settle_day(services, producer, job)
        view = await services.jobs.view(job)
        return view is None or view.state is not JobState.LOADING

    # False: another worker loads the same message, or died doing so; then it is loaded anew here
    # after a minute.
    while not await keep_trying(load, _ACCEPT_FOR_S):  # noqa: ASYNC110 - the other worker is another process
        await asyncio.sleep(_LOADED_ELSEWHERE_S)


def _storable(row: BadRow) -> BadRow:
    """JSON can spell half a surrogate pair, which nothing can store: a bad row's echo loses it."""
    echoed = {name: getattr(row, name).encode(errors="replace").decode() for name in ("email", "display_name", "ref")}
    return row._replace(**echoed)


async def _connection(services: Services, producer: Producer | None, name: str) -> Connection:
    await check_bound(services, producer, name, INVITE)
    if plain_word(name) != name:
        raise Refused("connection is not the name of a connection: small letters, digits and -.")
    try:
        return services.connection(name)
    except UnreadConnection as error:
        raise Refused(str(error), "Nothing was accepted: send it again once the list can be read.") from None
    except UnknownConnection as error:
        raise Refused(str(error)) from None
    except ConfigError as error:
        raise Refused(f"The connection cannot be used: {error}") from None


def _options(given: dict[str, Any]) -> Options:
    resend = given.pop("resend", None)
    if not isinstance(resend, bool | None):
        raise Refused("resend must be true or false.")
    return Options(resend=bool(resend))
