"""A producer is known by its token, and the task ids that begin with its name are its own: its
messages and their results never meet another's.

Celery files a message, its result and its expiry by the task id alone. So an id that begins with a
producer's name counts only where that producer's token comes with it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from config.errors import ConfigError

if TYPE_CHECKING:
    from config.console import Producer
    from config.settings import Settings
    from worker.ledger.audit.trail import Trail

log = logging.getLogger(__name__)

PRODUCER: Final = "producer"
"""What a job's `info` and the audit trail name a producer by."""
STRANGER: Final = "an unknown program"
"""Who is named by a token that opens nothing, or brings none."""
SHORTEST: Final = 32
"""Characters of a token, at least: 24 random bytes. A shorter one opens nothing."""
_LONGEST: Final = 4096


def find_producer(settings: Settings, token: str) -> Producer | None:
    """Return whose token this is, None where it is nobody's, or of two. Blocking: reads the files
    of tokens.

    Every token is compared, each in the same time, so that an answer's time tells nothing of them.
    """
    found = [producer for producer in settings.producers.values() if _opens(producer, token)]
    if len(found) > 1:
        names = " and ".join(producer.name for producer in found)
        log.warning("a token of the producers %s opens nothing: each needs its own", names)
    return found[0] if len(found) == 1 else None


def _opens(producer: Producer, token: str) -> bool:
    """Tell whether a token is one of a producer's."""
    given = _digest(token)
    same = [hmac.compare_digest(_digest(text), given) for text in _tokens(producer)]
    return any(same) and SHORTEST <= len(token) <= _LONGEST


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


def own_ids(name: str) -> str:
    """Return what the task ids of a producer begin with."""
    return f"{name}-"


def find_owner(producers: Mapping[str, Producer], task_id: str) -> Producer | None:
    """Return whose a task id is by what it begins with, None where it is nobody's. No producer's
    name begins with another's and a dash (`config/console.py`).
    """
    return next((one for name, one in producers.items() if task_id.startswith(own_ids(name))), None)


def is_anothers(settings: Settings, task_id: str, token: object) -> bool:
    """Tell whether a task id is a producer's, and the token that came with it is not. Blocking:
    reads the files of that producer's tokens.
    """
    owner = find_owner(settings.producers, task_id)
    return owner is not None and not (isinstance(token, str) and _opens(owner, token))


def info_of(producer: Producer) -> dict[str, str]:
    """Return what a job that a producer submits keeps of it."""
    return {"by": f"producer {producer.name}", PRODUCER: producer.name}


async def note_refused(trail: Trail, producer: Producer | None, why: str, **facts: str) -> None:
    """Write into the audit trail that a producer asked for what it may not; None: nobody knows who
    it was. Of a flood it has how many they were.
    """
    known = info_of(producer) if producer else {"by": STRANGER}

    async def sum_up(times: int) -> None:
        told = f"{times:,} more were refused within a minute, and are not written one by one."
        await trail.note("producer.refused", **known, why=told)

    if trail.floods.take(known["by"]):
        await trail.note("producer.refused", **{**known, "why": why, **facts})
    else:
        trail.floods.sum_up(known["by"], sum_up)
