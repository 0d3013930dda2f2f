"""A producer is a program that submits jobs: known by its token, bound to connections and
operations, with a limit a day and hosts of its own. The same rules for its messages and its
requests.

Without any producer configured, nobody is asked for a token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from worker.channels import INVITE
from worker.ledger.programs.producer_days import ProducerDays
from worker.producers import PRODUCER, note_refused

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


def bound(producer: Producer | None, connection: str, operation: str = INVITE) -> str:
    """Return why a producer may not use a connection for an operation, '' where it may."""
    if producer is None:
        return ""
    if connection not in producer.connections:
        # Whether there is such a connection is none of its business.
        return f"connection: the producer {producer.name} may not use a connection of that name."
    if operation not in producer.operations:
        return f"operation: the producer {producer.name} may not ask for {operation}."
    return ""


async def admit(services: Services, producer: Producer | None, *parts: Loaded, of: str = "") -> str:
    """Return why a job that is loaded may not be started, or the jobs of the submission `of`, ''
    where they may; their rows count for the producer's day then.
    """
    if producer is None:
        return ""
    # An invitation's own mail comes with it, whoever sends it
    asked = {
        stage.name
        for loaded in parts
        for stage in loaded.stages
        if stage.name in loaded.asked.rows and not stage.tells_link
    }
    if refused := sorted(asked - set(producer.operations)):
        what = "it" if len(refused) == 1 else "them"
        return f"{', '.join(refused)}: the producer {producer.name} may not ask for {what}."
    if producer.daily_limit is None:
        return ""
    days = ProducerDays(services.client, services.keys)
    left = await days.take(
        producer.name, of or parts[0].job, sum(loaded.rows for loaded in parts), producer.daily_limit
    )
    if left is None:
        return ""
    return (
        f"rows: the producer {producer.name} may submit {producer.daily_limit:,} rows a day and has {left:,} left until"
        " midnight, UTC."
    )


async def note_refusal(services: Services, producer: Producer | None, why: str, **facts: str) -> None:
    """Write into the audit trail that a producer asked for what it may not. None: whoever asks is
    no producer.
    """
    if producer is not None:
        await note_refused(services.trail, producer, why, **facts)


def notify_hosts(settings: Settings, producer: Producer | None) -> Collection[str]:
    """Return the hosts that a message or a request may have told."""
    hosts = settings.notify.hosts
    if producer is None or not producer.notify_hosts:
        return hosts
    return tuple(host for host in producer.notify_hosts if host in hosts)  # who delivers knows `[notify]` alone
