"""A producer's logins at the servers: it may put messages into the one queue that is for producers,
and read the results of its own task ids. No login reads a queue, the ledger or another's result.

Pure. deploy/redis/users.acl has the same line, docs/producers.md tells of both.
"""

from __future__ import annotations

from typing import Final

from worker.producers import own_ids
from worker.queues import PRODUCERS

_COMMANDS: Final = (
    "-@all +@connection -@dangerous +lpush +llen +sadd +smembers +get +mget +multi +exec +subscribe +unsubscribe"
)


def redis_user(name: str, prefix: str, password_sha256: str) -> str:
    """Return a producer's line for an `aclfile`, for the rights that Redis 7 and Valkey know."""
    queue, results = f"{prefix}:mq:{PRODUCERS}", f"{prefix}:res:celery-task-meta-{own_ids(name)}*"
    bindings = f"{prefix}:mq:_kombu.binding*.{PRODUCERS}"  # which every Celery client writes and reads
    keys = f"&{results} %W~{queue} %W~{queue}??[369] ~{bindings} %R~{results}"
    return f"user {name} on #{password_sha256} resetchannels {keys} {_COMMANDS}"


def rabbit_commands(name: str, host: str, password_file: str) -> tuple[str, str]:
    """Return the commands that make a producer's user of RabbitMQ: it may send to the exchange of
    that queue, and declare and read nothing.
    """
    return (
        f"rabbitmqctl add_user {name} < {password_file}",
        f"rabbitmqctl set_permissions -p {host} {name} '^$' '^{PRODUCERS}$' '^$'",
    )
