"""The same is done for many connections, a few of them side by side: most of it is waiting for
Entra and Graph. Trouble with one connection is not trouble with the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from config.errors import ConfigError
from tasks.errors import ListError, Refusal
from worker.errors import DirectoryUnread, TokenError

AT_ONCE = 8
"""Connections that are asked side by side."""
_AHEAD = 2 * AT_ONCE
"""How many are begun before the first of them is told: what was found of them waits meanwhile."""
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Unasked:
    """A connection whose tenant could not be asked, and why: a sentence."""

    connection: str
    why: str


async def ask_each(
    connections: Iterable[str], work: Callable[[str], Awaitable[_R]]
) -> AsyncGenerator[tuple[str, _R | Unasked]]:
    """Do something for each connection, and yield what came of it in their order, however many
    there are. What stands against one of them becomes `Unasked`; anything else is raised.
    """
    seats, left = asyncio.Semaphore(AT_ONCE), iter(connections)
    begun: deque[tuple[str, asyncio.Task[_R | Unasked]]] = deque()

    async def one(name: str) -> _R | Unasked:
        async with seats:
            try:
                return await work(name)
            except (ConfigError, DirectoryUnread, ListError, Refusal, TokenError) as error:
                return Unasked(name, str(error))

    def begin() -> bool:
        name = next(left, None)
        if name is not None:
            begun.append((name, asyncio.create_task(one(name))))
        return name is not None

    try:
        while True:
            while len(begun) < _AHEAD and begin():
                pass
            if not begun:
                return
            name, task = begun[0]
            yield name, await task
            begun.popleft()
    finally:
        for _, task in begun:
            task.cancel()
        await asyncio.gather(*(task for _, task in begun), return_exceptions=True)


async def do_all(parts: Sequence[_T], work: Callable[[_T], Awaitable[_R]]) -> list[_R]:
    """Do something for each, a few at once; the first failure is raised when all have ended."""
    seats = asyncio.Semaphore(AT_ONCE)

    async def one(part: _T) -> _R:
        async with seats:
            return await work(part)

    done = await asyncio.gather(*map(one, parts), return_exceptions=True)
    for found in done:
        if isinstance(found, BaseException):
            raise found
    return [found for found in done if not isinstance(found, BaseException)]
