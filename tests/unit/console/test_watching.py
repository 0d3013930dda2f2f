"""Who watches a job may leave at any moment."""

from __future__ import annotations

import asyncio

import pytest

from console.watching import Told, _first


async def test_who_leaves_leaves_no_task_behind() -> None:
    """A wait that is given up ends the wait for the queue, too."""
    queue: asyncio.Queue[Told] = asyncio.Queue(1)
    ending = asyncio.ensure_future(asyncio.Event().wait())
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(_first(queue, ending))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    ending.cancel()
