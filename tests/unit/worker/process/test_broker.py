"""What of kombu usher uses otherwise than it comes: nothing is unpacked, whatever carries it;
Redis's schemes lead to what sifts.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from kombu import compression
from kombu.transport import resolve_transport
from kombu.transport.pyamqp import Message

import worker.app  # noqa: F401 - it guards the broker
from worker.process.broker import SentinelChannel, SiftingChannel
from worker.process.messages import Compressed, find_fault, unreadable


@pytest.mark.parametrize("kind", ["gzip", "zlib", "application/x-gzip", "bzip2", "lzma", "xz", "application/x-lzma"])
def test_no_decoder_of_compressed_bodies_is_left(kind: str) -> None:
    """Also for messages of RabbitMQ, which kombu unpacks as it makes them."""
    with pytest.raises(Compressed):
        compression.decompress(zlib.compress(b"[]"), kind)  # type: ignore[no-untyped-call]


def test_a_compressed_message_of_rabbitmq_is_told_so() -> None:
    """As kombu hands it to the consumer: with the error that it met."""

    class Raw:
        body = zlib.compress(b"x" * 1_000_000)
        delivery_tag, delivery_info = 1, {"routing_key": "celery"}
        properties = {"content_type": "application/json", "application_headers": {"compression": "zlib"}}  # noqa: RUF012

    message = Message(Raw(), channel=None)  # type: ignore[no-untyped-call]
    assert len(message.body) < 2_000
    (found,) = message.errors
    assert isinstance(found[1], Compressed)
    assert "A compressed body is not taken" in unreadable(found[1])


def test_a_large_message_of_rabbitmq_is_refused_unread() -> None:
    """Its body is counted, not decoded."""

    class Raw:
        body = b"[" * (5 << 20)
        delivery_tag, delivery_info = 1, {"routing_key": "celery"}
        properties = {"content_type": "application/json", "application_headers": {"task": "usher.job", "id": "1"}}  # noqa: RUF012

    message = Message(Raw(), channel=None)  # type: ignore[no-untyped-call]
    assert "larger than 4 MB" in find_fault(message, ("usher.job",), "celery")


@pytest.mark.parametrize(
    ("scheme", "channel"),
    [("redis", SiftingChannel), ("rediss", SiftingChannel), ("sentinel", SentinelChannel)],
)
def test_each_way_to_redis_sifts(scheme: str, channel: type) -> None:
    """By the scheme's name, so that whatever of Celery connects gets it."""
    transport: Any = resolve_transport(scheme)
    assert transport.Channel is channel
