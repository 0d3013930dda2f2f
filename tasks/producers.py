"""A producer is a program that submits jobs: known by its token, bound to connections and
operations, with a limit a day and hosts of its own. The same rules for its messages and its
requests.

Without any producer configured, now or before (`worker/ledger/programs/token_need.py`), nobody is
asked for a token.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tasks.rows.fields import CONNECTION
from worker.ledger.programs.producer_days import ProducerDays, ProducerLooks
from worker.producers import PRODUCER, info_of, note_refused
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from config.console import Producer
    from config.settings import Settings
    from tasks.submit import Loaded
    from worker.services import Services


def is_its_own(producer: Producer | None, info: Mapping[str, Any]) -> bool:
    """Tell whether a producer may know of the job that keeps this `info`: of its own alone. None:
    whoever asks is no producer, and knows of all.
    """
    return producer is None or info.get(PRODUCER) == producer.name


ANOTHERS: Final = "id: the job is another's."
"""What the audit trail keeps of who asks for such a job; the answer is that there is none."""


def bound(producer: Producer | None, connection: str, operation: str = "") -> str:
    """Return why a producer may not use a connection for an operation ('': any), else ''."""
    if producer is None:
        return ""
    if connection not in producer.connections:
        # Whether there is such a connection is none of its business.
        return f"connection: the producer {producer.name} may not use a connection of that name."
    if operation and operation not in producer.operations:
        return f"operation: the producer {producer.name} may not ask for {operation}."
    return ""


def check_rows(producer: Producer | None, loaded: Loaded) -> str:
    """Return why a producer may not ask for what the rows of a loaded job ask for, '' where it may.

    Before anything of them is looked up, for a name that is there and one that is not would be
    answered differently.
    """
    if producer is None:
        return ""
    # An invitation's own mail comes with it, whoever sends it
    asked = {stage.name for stage in loaded.stages if stage.name in loaded.asked.rows and not stage.tells_link}
    if refused := sorted(asked - set(producer.operations)):
        what = "it" if len(refused) == 1 else "them"
        return f"{', '.join(refused)}: the producer {producer.name} may not ask for {what}."
    return ""


async def note_strays(services: Services, producer: Producer | None, loaded: Loaded) -> None:
    """Note for the audit that rows name a connection not asked for; they end failed."""
    if any(row.column == CONNECTION for row in loaded.bad):
        await note_refusal(services, producer, f"{CONNECTION}: rows name one that was not asked for, and end failed.")


async def take_day(services: Services, producer: Producer | None, *parts: Loaded, of: str = "") -> str:
    """Return why the rows of a loaded job, or of the jobs of the submission `of`, are too many for
    their producer's day, '' where they are not; they count for it then.
    """
    if producer is None or producer.daily_limit is None:
        return ""
    days, rows = ProducerDays(services.client, services.keys), sum(loaded.rows for loaded in parts)
    left = await days.take(producer.name, of or parts[0].job, rows, producer.daily_limit)
    return "" if left is None else beyond_day(producer, left)


async def left_of_day(services: Services, producer: Producer | None, job: str) -> int | None:
    """Return how many rows a job, or a submission, may bring its producer's day, None where nothing
    limits it. Looked at before anything is loaded: what is too much costs nobody else anything.
    """
    if producer is None or producer.daily_limit is None:
        return None
    return await ProducerDays(services.client, services.keys).left(producer.name, job, producer.daily_limit)


def beyond_day(producer: Producer, left: int) -> str:
    """Return why rows are too many for their producer's day."""
    return (
        f"rows: the producer {producer.name} may submit {producer.daily_limit:,} rows a day and has {left:,} left until"
        " midnight, UTC."
    )


LOOKS: Final = 3
"""Times its day's rows that a producer may look at by dry runs, which tell who is a guest."""


async def left_to_look(services: Services, producer: Producer | None) -> int | None:
    """Return how many rows a producer may still look at today, None where nothing limits it."""
    if producer is None or producer.daily_limit is None:
        return None
    looks = ProducerLooks(services.client, services.keys)
    return await looks.left(producer.name, "", LOOKS * producer.daily_limit)


def beyond_looks(producer: Producer, left: int) -> str:
    """Return why rows are too many to be looked at."""
    most = LOOKS * (producer.daily_limit or 0)
    return (
        f"rows: the producer {producer.name} may look at {most:,} rows a day by dry runs and has {left:,} left until"
        " midnight, UTC."
    )


async def take_looks(services: Services, producer: Producer | None, rows: int, connection: str, look: str) -> str:
    """Return why a producer may not look at so many rows, '' where it may: they count then, and the
    audit trail has it. `look`: an id of its own.
    """
    if producer is None:
        return ""
    if producer.daily_limit is not None:
        looks = ProducerLooks(services.client, services.keys)
        left = await looks.take(producer.name, look, rows, LOOKS * producer.daily_limit)
        if left is not None:
            return beyond_looks(producer, left)
        await looks.settle(producer.name, look)
    if services.trail.floods.take(f"looks of {producer.name}"):
        await services.trail.note("producer.looked", **info_of(producer), connection=connection, rows=rows)
    return ""


async def settle_day(services: Services, producer: Producer | None, job: str) -> None:
    """Note that a job, or a submission, taken from its producer's day is accepted."""
    if producer is not None and producer.daily_limit is not None:
        with suppress(*OUTAGE):  # the rows have counted
            await ProducerDays(services.client, services.keys).settle(producer.name, job)


_NAMED_JOB: Final = re.compile(r"\bjob [a-z2-7]{10}(?:[a-z2-7]{6})?\b")


def as_seen_by(producer: Producer | None, why: str) -> str:
    """Return why a guest is not invited again as whoever asks may read it: a producer without the
    id of the job that did before, which may be another's.
    """
    return _NAMED_JOB.sub("a job", why) if producer else why


async def note_refusal(services: Services, producer: Producer | None, why: str, **facts: str) -> None:
    """Note for the audit that a producer asked for what it may not; None is no producer."""
    if producer is not None:
        await note_refused(services.trail, producer, why, **facts)


def notify_hosts(settings: Settings, producer: Producer | None) -> Collection[str]:
    """Return the hosts that a message or a request may have told."""
    hosts = settings.notify.hosts
    if producer is None or not producer.notify_hosts:
        return hosts
    return tuple(host for host in producer.notify_hosts if host in hosts)  # who delivers knows `[notify]` alone
