"""The same is done for many connections, a few of them side by side."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tasks.errors import Refusal
from tasks.side_by_side import AT_ONCE, Unasked, ask_each
from worker.errors import DirectoryUnread

NAMES = [f"c{number}" for number in range(100)]


async def test_what_was_found_comes_in_the_order_of_the_names() -> None:
    """However long each takes; never more than a few at once, and few are begun ahead."""
    running = most = told = ahead = 0

    async def work(name: str) -> str:
        nonlocal running, most, ahead
        running += 1
        most, ahead = max(most, running), max(ahead, int(name[1:]) - told)
        await asyncio.sleep(0.001 if int(name[1:]) % 3 else 0)
        running -= 1
        return name.upper()

    found = []
    async with aclosing(ask_each(NAMES, work)) as each:
        async for pair in each:
            told += 1
            found.append(pair)
    assert found == [(name, name.upper()) for name in NAMES]
    assert (most, ahead < 3 * AT_ONCE) == (AT_ONCE, True)


async def test_trouble_with_one_ends_nothing_for_the_others() -> None:
    """It is told in its place; what is no trouble of a connection is raised."""

    async def work(name: str) -> str:
        if name == "c1":
            raise Refusal("It cannot be.")
        if name == "c2":
            raise DirectoryUnread("Nobody answers.")
        return name

    found = dict([pair async for pair in ask_each(NAMES[:4], work)])
    assert found == {
        "c0": "c0",
        "c1": Unasked("c1", "It cannot be."),
        "c2": Unasked("c2", "Nobody answers."),
        "c3": "c3",
    }

    async def broken(name: str) -> str:
        raise RuntimeError(name)

    with pytest.raises(RuntimeError):
        _ = [pair async for pair in ask_each(NAMES, broken)]


async def test_nothing_goes_on_behind_whoever_stopped_listening() -> None:
    """What was begun ahead is cancelled."""
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(0 if name == "c0" else 60)
        finally:
            ended.append(name)

    async with aclosing(ask_each(NAMES, work)) as each:
        async for _ in each:
            break
    assert len(ended) == AT_ONCE + 1  # the first, and those who had a seat
