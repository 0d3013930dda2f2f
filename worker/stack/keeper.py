"""Keeping one child of the supervisor running: started, waited for until it is of use, started again with a back-off when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from worker.stack.folders import StackError
from worker.stack.processes import Child, ChildSpec, Nursery

logger = logging.getLogger("usher.stack")

STEADY_S = 10.0
"""A child that lived this long before it ended was well: its next start waits no longer than the first."""

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0


def compute_backoff_s(failures: int) -> float:
    """Seconds to wait before the next start, after `failures` ends in a row."""
    return min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(max(failures, 1) - 1, 16))


class Keeper:
    """Keeps one child running: starts it, waits until it is ready, and starts it again with a back-off when it ends.

    `ready` returns when the child can be used; None means as soon as it runs. `explain` turns an end into a sentence. `on_trouble`
    is told that sentence each time the child ends unasked.
    """

    def __init__(
        self,
        nursery: Nursery,
        spec: ChildSpec,
        *,
        explain: Callable[[int], str],
        ready: Callable[[Child], Awaitable[None]] | None = None,
        on_trouble: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.trouble = ""
        """Why it ended last time; '' while it is well."""
        self._nursery = nursery
        self._explain = explain
        self._ready = ready
        self._on_trouble = on_trouble
        self._changed = asyncio.Condition()
        self._up = False
        self._failures = 0  # ends in a row, for the back-off
        self._unready = 0  # lives in a row that ended before they were of use
        self._task = asyncio.create_task(self._run(), name=f"keep {spec.name}")

    async def wait_up(self, timeout_s: float) -> None:
        """Wait until the child is ready. Raises `StackError` when it ended twice in a row before, or is not ready in time."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._up or self._unready >= 2 or self._task.done())
        except TimeoutError:
            raise StackError(self.trouble or f"The {self.spec.name} was not ready after {timeout_s:.0f} s.") from None
        if not self._up:
            raise StackError(self.trouble or f"The {self.spec.name} is being stopped.")

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """End the child and start it no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self.child is not None:
            await self.child.stop(hurry)
            self.child = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        told = ""
        while True:
            started_at = loop.time()
            try:
                await self._run_once()
            except (StackError, OSError) as error:
                self.trouble = str(error)
            if loop.time() - started_at >= STEADY_S:
                self._failures, told = 0, ""
            async with self._changed:
                self._unready = 0 if self._up else self._unready + 1
                self._up = False
                self._failures += 1
                self._changed.notify_all()
            logger.log(logging.INFO if self.trouble == told else logging.WARNING, "%s", self.trouble)
            told = self.trouble
            self._on_trouble(self.trouble)
            await asyncio.sleep(compute_backoff_s(self._failures))

    async def _run_once(self) -> None:
        """One life of the child, from its start to its end."""
        self.child = child = await self._nursery.start(self.spec)
        logger.info("%s started, process %d", self.spec.name, child.pid)
        if self._ready is not None:
            await self._wait_ready(child, self._ready)
        if not child.ended.done():
            async with self._changed:
                self._up = True
                self._changed.notify_all()
        code = await asyncio.shield(child.ended)
        child.kill_group()
        self.child = None
        self.trouble = self._explain(code)

    async def _wait_ready(self, child: Child, ready: Callable[[Child], Awaitable[None]]) -> None:
        waiting = asyncio.ensure_future(ready(child))
        first: set[asyncio.Future[Any]] = {waiting, child.ended}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not waiting.done():
                waiting.cancel()
        if waiting.done() and not waiting.cancelled():
            waiting.result()
