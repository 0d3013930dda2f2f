"""A message's sender is a producer where some are configured: known by the token in its header
`usher_token`, and with task ids of its own. Without any, nobody is asked, unless there was one
before (`worker/ledger/programs/token_need.py`).

What a producer asks for and may not is refused, and written into the audit trail.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

from tasks.messages.refusals import Refused
from tasks.producers import (
    ANOTHERS,
    beyond_day,
    bound,
    check_rows,
    is_its_own,
    left_of_day,
    note_refusal,
    note_strays,
    take_day,
)
from worker.ledger.lists.submissions import is_submission
from worker.ledger.programs.token_need import NOBODY, TokenNeed
from worker.plain_word import plain_word
from worker.process.messages import TOKEN_HEADER
from worker.producers import find_owner, find_producer, info_of, note_refused, own_ids

if TYPE_CHECKING:
    from config.console import Producer
    from tasks.submit import Loaded
    from worker.ledger.job_view import JobView
    from worker.services import Services

log = logging.getLogger(__name__)
_JOB_ID = re.compile(r"[a-z2-7]{10}(?:[a-z2-7]{6})?")


async def find_sender(request: Any, services: Services) -> Producer | None:
    """Return which producer sent a message, None where none is configured. Raises `Refused`.

    An id that is another's does not come here (`worker/process/consumer.py`); one that is nobody's
    would be the next producer's as well, and with it the result.
    """
    settings, task = services.settings(), plain_word(str(request.id))
    if not settings.producers:
        if await TokenNeed(services.client, services.keys).since() is None:
            return None
        why = f"{TOKEN_HEADER} opens nothing: {NOBODY}."
        log.warning("message %s is refused: %s", task, why)
        await note_refused(services.trail, None, why, task=task)
        raise Refused(f"{why} Nothing was accepted.")
    token = getattr(request, TOKEN_HEADER, None)
    if not isinstance(token, str) or not token:
        why = f"{TOKEN_HEADER} is missing"
        await note_refused(services.trail, None, f"{why}.", task=task)
        raise Refused(
            f"{why}: producers are configured, so each message brings its producer's token in this header. Nothing was"
            " accepted."
        )
    found = await asyncio.to_thread(find_producer, settings, token)
    if found is None:
        why = f"{TOKEN_HEADER} opens nothing: it is wrong, or has been taken back."
        log.warning("message %s brings a token that opens nothing", task)
        await note_refused(services.trail, None, why, task=task)
        raise Refused(f"{why} Nothing was accepted.")
    if find_owner(settings.producers, str(request.id)) is not found:
        why = f"id: a task id of the producer {found.name} begins with {own_ids(found.name)}"
        await note_refused(services.trail, found, f"{why}.", task=task)
        raise Refused(f"{why}, so that its results are its own: send it with such a task_id. Nothing was accepted.")
    return found


def describe_sender(request: Any, producer: Producer | None) -> dict[str, str]:
    """Return what is kept of who sent a message: its producer, its task id, and the host that
    Celery names as its origin ("gen4711@host").
    """
    host = str(getattr(request, "origin", None) or "").rpartition("@")[2]
    told = {"by": "producer", **(info_of(producer) if producer else {}), "task": str(request.id)}
    return told | {"host": host} if host and plain_word(host) == host else told


async def check_bound(services: Services, producer: Producer | None, connection: str, operation: str = "") -> None:
    """Raise `Refused` where a producer may not use a connection for an operation."""
    if why := bound(producer, connection, operation):
        await note_refusal(services, producer, why, connection=plain_word(connection))
        raise Refused(f"{why} Nothing was accepted.")


async def check_day(services: Services, producer: Producer | None, job: str, rows: int) -> None:
    """Raise `Refused`, before they are loaded, where the rows of a job that is not accepted yet are
    too many for their producer's day.
    """
    left = await left_of_day(services, producer, job)
    if producer is None or left is None or rows <= left:
        return
    view = await services.jobs.view(job)
    if view is None or not view.is_accepted:  # else it is answered as before
        why = beyond_day(producer, left)
        await note_refusal(services, producer, why)
        raise Refused(f"{why} Nothing was accepted.")


async def check_admitted(services: Services, producer: Producer | None, loaded: Loaded) -> None:
    """Raise `Refused` where what a producer's message brought may not be started."""
    await note_strays(services, producer, loaded)
    if why := check_rows(producer, loaded) or await take_day(services, producer, loaded):
        await note_refusal(services, producer, why)
        raise Refused(f"{why} Nothing was accepted.")


async def find_own(services: Services, producer: Producer | None, job: str) -> JobView | None:
    """Return a job that the sender may know of, None where there is none of that id."""
    if is_submission(job):  # a list through many connections is never a producer's
        await note_refusal(services, producer, ANOTHERS, job=plain_word(job))
    # Ids are parts of Redis's keys
    view = await services.jobs.view(job) if _JOB_ID.fullmatch(job) else None
    if view is not None and not is_its_own(producer, view.info):
        await note_refusal(services, producer, ANOTHERS, job=job)
        return None
    return view
