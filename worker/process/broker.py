"""kombu unpacks nothing in usher, and on Redis takes in nothing that was not sifted, nor more than
there is room for, nor more runs of schedules than a worker does at once.

Registered by name for the schemes of Redis, so that whichever part of Celery connects gets these.
RabbitMQ itself keeps the form of a message, and from which queue it comes.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, NoReturn

from kombu import compression
from kombu.transport import TRANSPORT_ALIASES, redis

from worker.process.messages import Compressed, sift
from worker.process.scheduled_runs import runs
from worker.queues import SCHEDULES

log = logging.getLogger(__name__)

ROOM_BYTES = 8 << 20
"""Of large messages that are worked on at the same time; while they fill it, none is fetched."""
_LARGE_BYTES = 64 << 10


def guard_broker() -> None:
    """Let kombu use what stands here, in this process."""
    known: Any = compression  # as kombu writes no types
    for kind in known.encoders():
        known.register(known.get_encoder(kind)[0], _refuse, kind)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = "worker.process.broker:Transport"
    TRANSPORT_ALIASES["sentinel"] = "worker.process.broker:SentinelTransport"


def _refuse(_: object) -> NoReturn:
    raise Compressed


class _Room(redis.QoS):
    """kombu's list of messages that are worked on, which also knows how large they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._large: dict[str, int] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        """A message has come."""
        super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
        if len(message.body or b"") > _LARGE_BYTES:
            self._large[delivery_tag] = len(message.body)

    def ack(self, delivery_tag: str) -> None:
        """A message is done."""
        self._large.pop(delivery_tag, None)
        super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """A message is given back."""
        self._large.pop(delivery_tag, None)
        super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]

    def can_consume(self) -> bool:
        """Whether another may come."""
        has_room = sum(tuple(self._large.values())) < ROOM_BYTES
        return has_room and bool(super().can_consume())  # type: ignore[no-untyped-call]


class _Sifting:
    """What of a channel is usher's: `_get_client` makes the clients that read the queues, and
    `_brpop_start` asks them for a message.
    """

    QoS = _Room
    active_queues: list[str]
    _queue_cycle: Any

    def _brpop_start(self, timeout: Any = None) -> None:
        wanted = [queue for queue in self.active_queues if queue != SCHEDULES or not runs.full]
        if set(wanted) != set(self._queue_cycle.items):  # else their order is whose turn it is
            self._queue_cycle.update(wanted)
        super()._brpop_start(timeout)  # type: ignore[misc]

    def _get_client(self) -> Any:
        made = super()._get_client()  # type: ignore[misc]
        known = made.keywords if isinstance(made, functools.partial) else {}
        return functools.partial(_client_class(made.func if known else made), **known)


@functools.cache
def _client_class(base: Any) -> Any:
    class Client(base):
        """A client that hands on no message which was not sifted."""

        def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
            """Return what the server answers. kombu takes nothing for an empty queue."""
            found = super().parse_response(connection, command_name, **options)
            if command_name != "BRPOP" or not found:
                return found
            key, raw = found
            queue = (key.decode() if isinstance(key, bytes) else key).partition(redis.Channel.sep)[0]
            message = sift(raw, queue)
            if message is None:
                log.error(
                    "the queue %s held something that is no message (%d bytes), and it is gone; nothing was accepted. "
                    "Whoever sends to it looks at docs/producers.md",
                    queue,
                    len(raw),
                )
                return None
            return key, message

    return Client


class SiftingChannel(_Sifting, redis.Channel):
    """A channel of Redis."""


class SentinelChannel(_Sifting, redis.SentinelChannel):
    """A channel of a Redis behind Sentinel."""


class Transport(redis.Transport):
    """What `redis://` and `rediss://` name."""

    Channel = SiftingChannel


class SentinelTransport(redis.SentinelTransport):
    """What `sentinel://` names."""

    Channel = SentinelChannel
