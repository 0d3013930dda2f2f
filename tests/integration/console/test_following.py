"""A server of the private stack follows the jobs that run there."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from console.following import follow_all
from tests.ledgers import Desk


async def test_running_jobs_are_followed_and_those_of_commands_left(desk: Desk) -> None:
    """Else the next command would pause them, as left behind; what a command follows is its own."""
    free, theirs, paused = [await desk.load(1) for _ in range(3)]
    await desk.jobs.follow(theirs, 1)
    await desk.jobs.pause(paused, "asked for")
    following = asyncio.create_task(follow_all(desk.jobs, os.getpid()))
    async with asyncio.timeout(60):
        while await desk.jobs.follower(free) != os.getpid():  # noqa: ASYNC110 - the key has no event
            await asyncio.sleep(0.01)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    assert await desk.jobs.follower(theirs) == 1
    assert await desk.jobs.follower(paused) is None
