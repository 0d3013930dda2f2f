"""Where this process works: its settings, watched, and the URLs of its Redis. In embedded mode that is the private server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """`settings()` is the present configuration: a changed file is noticed within seconds."""

    settings: Callable[[], Settings]
    redis_url: str  # the ledger's, for redis-py
    broker_url: str  # Celery's
    result_url: str  # Celery's


@cache
def find_place() -> Place:
    """Read the configuration; without a Redis URL attach to the private server, and stay attached while this process lives.

    Raises `config.ConfigError`, or `worker.folders.StackError` when the private server cannot be had.
    """
    from config import Watched, load_settings

    settings = load_settings()
    if settings.embedded:
        from worker.attachment import ensure_server

        urls = ensure_server()
        # From here on this process, and what it reads again, sees the private server like any other.
        os.environ["USHER_REDIS_URL"] = urls.redis_url
        if urls.key_path is not None and not settings.ledger.key:
            os.environ["USHER_LEDGER__KEY"] = f"file:{urls.key_path}"
    watched = Watched(load_settings)
    present = watched.settings
    redis_url = present.redis.url or ""
    return Place(lambda: watched.settings, redis_url, celery_url(present.broker_url or redis_url), celery_url(redis_url))


def celery_url(url: str) -> str:
    """Spell a URL as Celery and kombu want it: a unix socket is `redis+socket://` there, its database `virtual_host`."""
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    numbers = [part.removeprefix("db=") for part in query.split("&") if part.startswith("db=")]
    return f"redis+socket://{path}?virtual_host={numbers[0] if numbers else 0}"
