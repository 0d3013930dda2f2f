"""The Celery application is what `celery -A worker worker|beat|flower` runs. Configured when first
used, not at import.

The broker carries only what may run now (the dispatcher's offers) and producers' messages; the
ledger is the truth. So a chunk's message is acknowledged early, a lost one is offered again, a
doubled one is void. Measured reasons for each setting stand in `docs/decisions/`.
"""

from __future__ import annotations

import re
import ssl
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from celery import Celery
from kombu.entity import Exchange, Queue

from config.errors import ConfigError
from worker.ledger.keys import Keys
from worker.process.broker import guard_broker
from worker.process.process_settings import ProcessSettings, find_process_settings
from worker.queues import BULK, NOW, OWN, PRODUCERS, SCHEDULES, THREADS
from worker.store.sentinel_url import SentinelUrl, read_sentinel_url


def build_settings(own: ProcessSettings) -> dict[str, Any]:
    """Return Celery's settings for one process. Pure."""
    prefix = own.settings().ledger.prefix
    redis_broker = not own.broker_url.startswith("amqp")
    quorum = own.settings().broker.quorum and not redis_broker
    broker, results = read_sentinel_url(own.broker_url), read_sentinel_url(own.result_url)
    beat_url, beat_options = _beat_redis(own.redis_url)
    return {
        "broker_url": broker.for_celery if broker else own.broker_url,
        "broker_use_ssl": broker.tls if broker else _amqp_tls(own.broker_url),
        "result_backend": results.for_celery if results else own.result_url,
        "redis_backend_use_ssl": results.tls if results else None,
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_default_queue": PRODUCERS,
        # An offer that gets lost is made again, so on Redis it is not acknowledged, which costs
        # four commands a message. RabbitMQ would push all offers to one worker then: without
        # acknowledgements it knows no prefetch limit.
        "task_queues": [
            *(_queue(name, quorum=quorum) for name in (PRODUCERS, SCHEDULES)),
            *(_queue(name, no_ack=redis_broker, quorum=quorum) for name in (NOW, BULK)),
        ],
        "task_routes": {name: {"queue": queues[-1]} for name, queues in OWN.items()},
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_track_started": False,
        "result_extended": False,  # it would store the arguments, and with them addresses
        "result_expires": 3600,
        "worker_pool": "threads",
        "worker_concurrency": THREADS,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": redis_broker,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": True,
        "worker_send_task_events": False,  # Flower turns them on while it watches
        "task_send_sent_event": False,
        "result_backend_always_retry": True,
        "result_backend_max_retries": 20,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "redis_socket_timeout": 15,
        "redis_socket_connect_timeout": 5,
        "redis_socket_keepalive": not own.redis_url.startswith("unix"),
        "redis_retry_on_timeout": True,
        "broker_transport_options": {
            "global_keyprefix": f"{prefix}:mq:",
            "visibility_timeout": 120,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 15,
            "socket_connect_timeout": 5,
            "health_check_interval": 10,
            # Not tried again by redis-py: a worker that met the next server at once would subscribe
            # there and wait in that read for ever
            "retry_on_timeout": False,
            **({} if own.broker_url.startswith("redis+socket") else {"socket_keepalive": True}),
            **_sentinel_options(broker),
        }
        if redis_broker
        else {},
        "result_backend_transport_options": {
            "global_keyprefix": f"{prefix}:res:",
            "retry_policy": {"timeout": 5.0},
            **_sentinel_options(results),
        },
        "visibility_timeout": 120,
        "beat_scheduler": "worker.process.beat:UsherScheduler",
        "beat_max_loop_interval": 2,
        "redbeat_redis_url": beat_url,
        "redbeat_key_prefix": Keys(prefix).beat(),
        "redbeat_lock_timeout": 15,
        "redbeat_redis_options": beat_options,
        "redbeat_redis_use_ssl": results.tls if results else None,  # else it would take the broker's
    }


def _queue(name: str, *, no_ack: bool = False, quorum: bool = False) -> Queue:
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]
    arguments = {"x-queue-type": "quorum"} if quorum else None
    return Queue(  # type: ignore[no-untyped-call]
        name, exchange, routing_key=name, no_ack=no_ack, queue_arguments=arguments
    )


def _amqp_tls(url: str) -> dict[str, Any] | None:
    """Return how py-amqp is to check a server of RabbitMQ. Told nothing, it takes a certificate of
    any name.

    https://docs.celeryq.dev/projects/amqp/en/latest/reference/amqp.transport.html
    """
    parts = urlsplit(url)
    if parts.scheme != "amqps":
        return None
    return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname}


def _take_login_out(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without its login, and the login beside it.

    A worker tells its settings to whoever asks (Flower, `celery inspect conf`). Celery masks what
    is called `password`, and the URLs it knows; RedBeat's it does not know.
    """
    parts = urlsplit(url)
    names = {"username": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    names |= dict(pair for pair in parse_qsl(parts.query) if pair[0] in names)  # as a socket's URL has it
    bare = re.sub(r"(?<=[?&])(?:username|password)=[^&]*&?", "", re.sub(r"(?<=://)[^/@]*@", "", url)).rstrip("?&")
    return bare, {name: value for name, value in names.items() if value}


def _beat_redis(url: str) -> tuple[str, dict[str, Any]]:
    """Return RedBeat's URL and options. Behind Sentinel it wants all but the scheme as options."""
    bare, login = _take_login_out(url)
    guarded = read_sentinel_url(url)
    if guarded is None:
        return bare, {**_redbeat_options(), **login}
    # No `retry`: it is not passed on there. `worker.process.beat` itself waits for a Redis that is
    # away.
    place = {
        "sentinels": list(guarded.hosts),
        "service_name": guarded.master,
        "db": guarded.database,
        "socket_timeout": 5.0,
    }
    return "redis-sentinel://", {**place, "sentinel_kwargs": guarded.sentinel_options, **guarded.login}


def _redbeat_options() -> dict[str, Any]:
    """A restart of Redis ends RedBeat unless its client keeps trying (its lock calls are not
    wrapped).
    """
    from redis.backoff import ExponentialBackoff
    from redis.exceptions import ConnectionError as Lost
    from redis.exceptions import TimeoutError as Late
    from redis.retry import Retry

    return {"retry": Retry(ExponentialBackoff(cap=2, base=0.1), 30), "retry_on_error": [Lost, Late]}


def _sentinel_options(guarded: SentinelUrl | None) -> dict[str, Any]:
    """What kombu and Celery's results want beside the URL; how the servers are reached with TLS
    stands in settings of its own.
    """
    if guarded is None:
        return {}
    return {"master_name": guarded.master, "sentinel_kwargs": guarded.sentinel_options}


def _configure() -> dict[str, Any]:
    """Configure on first use. A faulty configuration is a sentence and status 2."""
    from worker.stack.folders import StackError

    try:
        return build_settings(find_process_settings())
    except (ConfigError, StackError) as error:
        sys.stderr.write(f"usher: {error}\n")
        raise SystemExit(2) from None


guard_broker()
app = Celery(
    "usher",
    include=["tasks.messages.internal", "tasks.messages.invite", "tasks.messages.queries", "tasks.scheduled.firing"],
    task_cls="worker.process.requests:PrivateTask",
    set_as_current=True,
)
app.add_defaults(_configure)

# These modules register with the app just made, and with Celery's signals
from worker.process import bootsteps, flower, flower_options, log_setup  # noqa: E402, F401

bootsteps.register(app)
app.user_options["preload"].add(flower_options.preload_option())
