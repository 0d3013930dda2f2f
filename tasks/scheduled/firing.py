"""`usher.scheduled` fires a schedule once, however often its message comes, and writes down how
that went where people look.

Whoever claims the run does it; the claim is short and renewed. Should its worker be killed, the
broker delivers the message again and the run begins anew, with the same job id: what was started
already is found, what was half loaded is loaded again. A worker that was frozen beyond its claim
stops as soon as it sees so, and leaves the run to whoever claimed it then. It works in an event
loop of its own: a list is read row by row, and the worker's loop has guests waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from redis.asyncio.lock import Lock
from redis.exceptions import LockError, OutOfMemoryError

from config.connections import SANDBOX
from config.errors import ConfigError, UnknownConnection
from config.schedules import TASKS, Schedule
from tasks.errors import ListError
from tasks.scheduled.context import Context, Told
from worker.app import app
from worker.cancellation import end_task
from worker.errors import UsherError
from worker.ledger.timetable import TASK, ScheduledRun, Timetable, firing_fault, run_of
from worker.masking import mask_text
from worker.process.process_settings import find_process_settings
from worker.process.runtime import runtime
from worker.process.scheduled_runs import runs
from worker.services import Services, open_services
from worker.store.client import OUTAGE, keep_trying, read_time_ms

log = logging.getLogger(__name__)

KINDS: dict[str, Callable[[Context], Awaitable[Told]]] = {
    name: import_module(f"tasks.scheduled.{name}").run for name in TASKS
}
"""What each task of `config.schedules.TASKS` does: `run` of the module of its name."""

CLAIM_S = 60.0
_RENEW_S = 15.0
_OUTAGE_S = 600.0  # how long a run waits for a Redis that is away; a later firing does it otherwise
_OTHER_S = 90.0  # how long to wait for another worker's run, below the broker's visibility timeout
_LOOK_S = 1.0
_LIST_UNREAD = "Nothing was done; once somebody has put that right, the next run does it."
_KNOWN_WITHIN_S = 10.0  # a schedule of the file that a beat has seen and this worker has not yet


@app.task(name=TASK, acks_late=True)
def scheduled(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Do what the schedule says: `scheduled(name=, due_ms=, by="beat", connection="")`, the latter
    of a schedule over several. Returns its result, which `usher schedules` shows too.

    What cannot be a firing of the timetable's is refused, and nothing is written.
    """
    given = {"by": "beat", "connection": "", **kwargs}
    if args or given.keys() != {"name", "due_ms", "by", "connection"}:
        return _refused("it must name a schedule, a time in milliseconds and who asks for it")
    with runs.one():
        told = asyncio.run(_fire(**given))
    runtime.wake()
    if isinstance(told, str):
        return _refused(told)
    if told is None:
        if not given["connection"]:
            del given["connection"]
        app.send_task(TASK, kwargs=given, argsrepr=f"(schedule {given['name']})", kwargsrepr="{}")
        return {"status": "another worker is at it", "schedule": given["name"]}
    return {"status": told.status, "schedule": given["name"], "jobs": list(told.jobs)}


def _refused(why: str) -> dict[str, Any]:
    log.error("a schedule's firing is refused: %s; nothing was done", why)
    return {"status": "refused", "errors": [f"This is no firing of a schedule: {why}; nothing was done."]}


async def _fire(name: Any, due_ms: Any, by: Any, connection: Any) -> ScheduledRun | str | None:
    own = await asyncio.to_thread(find_process_settings)
    async with open_services(own.settings, own.redis_url) as services:
        now_ms = await keep_trying(lambda: read_time_ms(services.client), _OUTAGE_S)
        fault = firing_fault(name, due_ms, by, now_ms, connection)
        fault = fault or await connection_fault(services, name, connection)
        return fault or await fire(services, name, due_ms, by, connection)


async def connection_fault(services: Services, name: str, connection: str) -> str:
    """Return why a run cannot be one of this connection's, '' where it can: a schedule over several
    has runs of each of them, as they are now, and another has none.
    """
    find = _find if connection else _look_up  # the run itself waits for one that is not known yet
    schedule = await find(services, Timetable(services.client, services.keys), name)
    if schedule is None or not schedule.several:
        return f"{name} is no schedule over several connections" if connection else ""
    if not connection:
        return f"it must name one of the connections of {name}"
    for _ in range(round(_KNOWN_WITHIN_S / _LOOK_S)):
        if connection in services.settings().members(schedule.connection or ""):
            return ""
        await asyncio.sleep(_LOOK_S)
    return f"{connection} is none of the connections of {name} (any more)"


async def fire(services: Services, name: str, due_ms: int, by: str, connection: str = "") -> ScheduledRun | None:
    """Do a run, or wait for the worker that does; None when that takes long, or took it over."""
    timetable = Timetable(services.client, services.keys)
    key = services.keys.schedule_claim(run_of(name, connection), due_ms)
    claim = Lock(services.client, key, timeout=CLAIM_S, thread_local=False)
    deadline_s = asyncio.get_running_loop().time() + _OTHER_S
    while True:
        known = await keep_trying(lambda: timetable.run(name, due_ms, connection), _OUTAGE_S)
        if known is not None and known.ended_ms:
            return known
        if await keep_trying(lambda: claim.acquire(blocking=False), _OUTAGE_S):
            break
        if asyncio.get_running_loop().time() > deadline_s:
            return None
        await asyncio.sleep(_LOOK_S)
    async with _held(claim):
        run = known or ScheduledRun(due_ms, by, started_ms=0, connection=connection)
        working = asyncio.create_task(_run(services, timetable, name, run))
        renewing = asyncio.create_task(_renew(claim))
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            log.warning(
                "schedule %s: this worker was away for too long, and leaves the run to another",
                run_of(name, connection),
            )
            return None
        finally:
            await end_task(renewing)
            await end_task(working)


async def _run(services: Services, timetable: Timetable, name: str, run: ScheduledRun) -> ScheduledRun:
    """Do a run that is claimed, and write down how it went."""
    if not run.started_ms:
        run = replace(run, started_ms=await keep_trying(lambda: read_time_ms(services.client), _OUTAGE_S))
    await keep_trying(lambda: timetable.record(name, run), _OUTAGE_S)
    told = await _do(services, timetable, name, run)
    done = replace(
        run,
        ended_ms=await keep_trying(lambda: read_time_ms(services.client), _OUTAGE_S),
        status=told.status,
        what=mask_text(told.what),
        jobs=told.jobs,
        details=tuple(mask_text(line) for line in told.details),
    )
    await keep_trying(lambda: timetable.record(name, done), _OUTAGE_S)
    level = logging.INFO if told.status == "ok" else logging.WARNING
    log.log(level, "schedule %s: %s", run_of(name, run.connection), done.what)
    return done


async def _do(services: Services, timetable: Timetable, name: str, run: ScheduledRun) -> Told:
    schedule = await _find(services, timetable, name)
    if schedule is None:
        return Told("There is no schedule of this name any more; nothing was done.", "failed")
    context = Context(services, schedule, run.due_ms)
    if run.connection:
        context = context.of(run.connection)
    try:
        return await keep_trying(lambda: KINDS[schedule.task](context), _OUTAGE_S)
    except OutOfMemoryError:
        return Told(
            "Redis is full, so nothing was done: whoever runs it raises its maxmemory, or deletes old jobs.", "failed"
        )
    except OUTAGE as error:
        return Told(f"Redis was away for too long ({type(error).__name__}); the next run does it.", "failed")
    except UnknownConnection as error:
        by_hand = f" The sandbox runs while a command uses it: usher schedules run {name}."
        return Told(f"{error}{by_hand if error.name == SANDBOX else ''}", "failed")
    except ListError as error:
        more = "" if "othing " in str(error) else f" {_LIST_UNREAD}"
        return Told(f"{error}{more}", "failed")
    except (ConfigError, UsherError) as error:
        return Told(str(error), "failed")
    except Exception as error:
        log.exception("schedule %s failed", name)
        return Told(f"A fault of usher ({type(error).__name__}); the worker's log says where.", "failed")


async def _find(services: Services, timetable: Timetable, name: str) -> Schedule | None:
    """Return the schedule, once it is known."""
    for _ in range(round(_KNOWN_WITHIN_S / _LOOK_S)):
        if (schedule := await _look_up(services, timetable, name)) is not None:
            return schedule
        await asyncio.sleep(_LOOK_S)
    return None


async def _look_up(services: Services, timetable: Timetable, name: str) -> Schedule | None:
    """Return the schedule as it stands on the timetable, else as this worker's configuration has it
    (no beat may have run yet).
    """
    planned = await keep_trying(lambda: timetable.get(name), _OUTAGE_S)
    return planned.schedule if planned else services.settings().schedules.get(name)


@asynccontextmanager
async def _held(claim: Lock) -> AsyncIterator[None]:
    """Free the claim at the end, if it is ours still."""
    try:
        yield
    finally:
        with suppress(LockError, *OUTAGE):
            await claim.release()


async def _renew(claim: Lock) -> None:
    """Renew the claim until it turns out to be another's."""
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            await claim.reacquire()
        except LockError:
            return
        except OUTAGE:
            continue
