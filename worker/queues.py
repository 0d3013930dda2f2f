"""A worker consumes these queues: which task comes by which, and how many chunks run at once."""

from __future__ import annotations

from collections.abc import Mapping

PRODUCERS = "celery"
"""Queue of producers' own messages. Celery's default name, under our own key prefix: a producer
need not name it.
"""
NOW = "usher.now"
"""Queue of offers somebody is waiting for, and of look-ups."""
BULK = "usher.bulk"
"""Queue of all other offers."""

SCHEDULES = "usher.schedules"
"""Queue of schedules' firings."""

OWN: Mapping[str, tuple[str, ...]] = {
    "usher.run_chunk": (NOW, BULK),
    "usher.settle": (NOW,),
    "usher.scheduled": (SCHEDULES,),
}
"""usher's own tasks, and the queues of each. Producers may write to none of these where the broker
has users (deploy/redis).
"""

THREADS = 256
"""Threads of one worker process. A seat is a thread that waits; all work is done in one event loop
(docs/decisions/0003-pool.md).
"""
PRODUCER_THREADS = 8
"""Of these, kept for producers' messages, so that a burst of chunks never keeps a guest waiting for
a thread.
"""


def is_at_home(task: str, queue: str) -> bool:
    """Whether a task may come by a queue: usher's own by theirs, producers' by theirs. Pure."""
    return queue in OWN.get(task, (PRODUCERS,))


def seats_of(threads: int) -> int:
    """Return how many chunks a worker with that many threads runs at once. Pure."""
    return max(1, threads - min(PRODUCER_THREADS, threads // 4))
