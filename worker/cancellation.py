"""A task of ours is ended for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_S = 0.1


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended.

    Before Python 3.12 `asyncio.wait_for` may swallow a cancellation that meets its own end, here
    and in redis-py; once is not enough.
    https://github.com/python/cpython/issues/86296
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)
