"""A process reads which settings are its own, watched, and the URLs of its Redis; in embedded mode
that is the private server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from config.reader import load_settings
from config.watch import Watched

if TYPE_CHECKING:
    from config.settings import Settings


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """`settings()` is the present configuration: a changed file is noticed within seconds."""

    settings: Callable[[], Settings]
    redis_url: str  # the ledger's, for redis-py
    broker_url: str  # Celery's
    result_url: str  # Celery's
    private: bool = False  # attached to the private server: `keep_server` wants to be called now and then
    problem: Callable[[], str] = lambda: ""  # why its files as they are now are not believed, in one line


@cache
def find_process_settings() -> ProcessSettings:
    """Read the configuration; without a Redis URL attach to the private server, and stay attached
    while this process lives.

    Raises `config.ConfigError`, or `worker.stack.folders.StackError` when the private server cannot
    be had.
    """
    settings = load_settings()
    if settings.embedded:
        from worker.stack.attachment import ensure_server
        from worker.stack.environment import build_stack_variables

        # From here on this process, and what it reads again, sees the private server like any
        # other.
        os.environ.update(build_stack_variables(ensure_server()))
    watched = Watched(load_settings)
    present = watched.settings
    redis_url = present.redis.url or ""
    broker_url = celery_url(present.broker_url or redis_url)

    def problem() -> str:
        return " ".join((watched.problem or "").splitlines())

    return ProcessSettings(
        lambda: watched.settings, redis_url, broker_url, celery_url(redis_url), settings.embedded, problem
    )


def celery_url(url: str) -> str:
    """Spell a URL as Celery and kombu want it.

    A unix socket is `redis+socket://` there, its database `virtual_host`; `rediss://` must say that
    certificates are checked.
    """
    if url.startswith("rediss://") and "ssl_cert_reqs" not in url:
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    numbers = [part.removeprefix("db=") for part in query.split("&") if part.startswith("db=")]
    return f"redis+socket://{path}?virtual_host={numbers[0] if numbers else 0}"
