"""Calls that are made while another one is on its way leave together, as one write to Redis, and
are read together.

Every seat asks Redis a few times a batch. Asked one by one, the sockets cost a worker more than
what it asks; Redis, which does one thing at a time, answers no later for it. One idle seat's call
leaves at once.
https://redis.io/docs/latest/develop/using-commands/pipelining/
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

_Call = tuple[tuple[Any, ...], asyncio.Future[Any]]
_NAME = "usher_pipeline"


def pipeline_of(client: Redis) -> AutoPipeline:
    """Return a client's one pipeline: what is asked at once leaves together, whoever asks."""
    found: AutoPipeline | None = vars(client).get(_NAME)
    if found is None:
        found = vars(client)[_NAME] = AutoPipeline(client)
    return found


class AutoPipeline:
    """The calls of one client. What one of them is answered, an error too, is its caller's alone;
    an outage is everybody's on that way.
    """

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """Send one command and return Redis' answer. Raises what redis-py raises; repeated after an
        outage as redis-py repeats a pipeline.
        """
        return await self._put(command)

    async def calls(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send several commands; return their answers in this order. Raises the first error."""
        return await asyncio.gather(*map(self._put, commands))

    def _put(self, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, answer))
        if self._sending is None:
            # In a context of its own: it speaks for whoever comes, not for the chunk that happened
            # to be the first.
            self._sending = loop.create_task(self._send(), name="usher-redis", context=Context())
        return answer

    async def _send(self) -> None:
        """Send what waits, until nothing does."""
        calls: list[_Call] = []
        try:
            while self._waiting:
                calls, self._waiting = self._waiting, []
                await self._send_together(calls)
        finally:  # ended by a loop that closes: nobody is left waiting
            self._sending = None
            for _, answer in (*calls, *self._waiting):
                answer.cancel()
            self._waiting = []

    async def _send_together(self, calls: Sequence[_Call]) -> None:
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for command, _ in calls:
                    pipe.execute_command(*command)
                replies = await pipe.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 - each caller's own to handle
            replies = [error] * len(calls)
        for (_, answer), reply in zip(calls, replies, strict=True):
            if answer.done():
                continue  # its caller was cancelled meanwhile
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)
