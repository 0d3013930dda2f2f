"""A producer is a program that submits jobs: known by its token, bound to connections and
operations, with a limit a day and hosts of its own. The same rules for its messages and its
requests.

Without any producer configured, nobody is asked for a token.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from config.errors import ConfigError
from worker.channels import INVITE
from worker.ledger.programs.producer_days import ProducerDays

if TYPE_CHECKING:
    from config.console import Producer
    from config.settings import Settings
    from tasks.submit import Loaded
    from worker.services import Services

log = logging.getLogger(__name__)

PRODUCER: Final = "producer"
"""What a job's `info` names its producer by."""
SHORTEST: Final = 32
"""Characters of a token, at least: 24 random bytes. A shorter one could be guessed, and opens
nothing.
"""
_LONGEST: Final = 4096


def find_producer(settings: Settings, token: str) -> Producer | None:
    """Return whose token this is, None where it is nobody's. Blocking: reads the files of tokens.

    Every token is compared, each in the same time, so that an answer's time tells nothing of them.
    """
    found: Producer | None = None
    given = _digest(token)
    for producer in settings.producers.values():
        for text in _tokens(producer):
            if hmac.compare_digest(_digest(text), given):
                found = producer
    return found if SHORTEST <= len(token) <= _LONGEST else None


def count_tokens(producer: Producer) -> int:
    """Return how many of a producer's tokens open, as this process can read them."""
    return sum(1 for _ in _tokens(producer))


def _tokens(producer: Producer) -> Iterator[str]:
    for reference in producer.token:
        try:
            text = reference.resolve().reveal().strip()
        except ConfigError as error:
            log.warning("a token of the producer %s opens nothing: %s", producer.name, error)
            continue
        if len(text) < SHORTEST:
            log.warning("a token of the producer %s is shorter than %d and opens nothing", producer.name, SHORTEST)
        else:
            yield text


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def info_of(producer: Producer) -> dict[str, str]:
    """Return what a job that a producer submits keeps of it."""
    return {"by": f"producer {producer.name}", PRODUCER: producer.name}


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


async def admit(services: Services, producer: Producer | None, loaded: Loaded) -> str:
    """Return why a job that is loaded may not be started, '' where it may; its rows count for the
    producer's day then.
    """
    if producer is None:
        return ""
    # An invitation's own mail comes with it, whoever sends it
    asked = {stage.name for stage in loaded.stages if stage.name in loaded.asked.rows and not stage.tells_link}
    if refused := sorted(asked - set(producer.operations)):
        what = "it" if len(refused) == 1 else "them"
        return f"{', '.join(refused)}: the producer {producer.name} may not ask for {what}."
    if producer.daily_limit is None:
        return ""
    days = ProducerDays(services.client, services.keys)
    left = await days.take(producer.name, loaded.job, loaded.rows, producer.daily_limit)
    if left is None:
        return ""
    return (
        f"rows: the producer {producer.name} may submit {producer.daily_limit:,} rows a day and has {left:,} left until"
        " midnight, UTC."
    )


async def note_refusal(services: Services, producer: Producer | None, why: str, **facts: str) -> None:
    """Write into the audit trail that a producer asked for what it may not."""
    if producer is not None:
        told = {**info_of(producer), "why": why, **facts}
        await services.trail.note("producer.refused", **told)


def notify_hosts(settings: Settings, producer: Producer | None) -> Collection[str]:
    """Return the hosts that a message or a request may have told."""
    hosts = settings.notify.hosts
    if producer is None or not producer.notify_hosts:
        return hosts
    return tuple(host for host in producer.notify_hosts if host in hosts)  # who delivers knows `[notify]` alone
