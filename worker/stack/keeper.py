"""Keeping one child of a supervisor running: started, waited for until it is of use, started again
with a back-off when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from worker.stack.folders import StackError
from worker.stack.last_words import explain_end
from worker.stack.processes import Child, ChildSpec, Nursery

logger = logging.getLogger("usher.stack")

STEADY_S = 10.0
"""A child that lived this long was well: its next start waits no longer than the first."""

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0


def compute_backoff_s(failures: int) -> float:
    """Seconds to wait before the next start, after `failures` ends in a row."""
    return min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(max(failures, 1) - 1, 16))


class Keeper:
    """Keeps one child running: starts it, waits until it is ready, and starts it again with a
    back-off when it ends.

    `on_change` is called whenever something changes of what `describe` says.
    """

    def __init__(self, nursery: Nursery, spec: ChildSpec, on_change: Callable[[], None]) -> None:
        self.child: Child | None = None
        self.trouble = ""
        """Why it ended last time; '' where it never did."""
        self.up = False
        """Whether it is of use."""
        self.was_up = False
        """Whether it ever was."""
        self._nursery = nursery
        self._spec = spec
        self._on_change = on_change
        self._ends = 0
        self._failures = 0  # ends in a row, for the back-off
        self._unready = 0  # lives in a row that ended before they were of use
        self._task = asyncio.create_task(self._run(), name=f"keep {spec.name}")

    @property
    def failing(self) -> bool:
        """Whether it ended twice in a row before it was of use."""
        return self._unready >= 2

    def describe(self) -> dict[str, Any]:
        """Return what there is to say of it as JSON types: `pid` is None between two lives, `ends`
        counts those unasked."""
        pid = self.child.pid if self.child else None
        return {"pid": pid, "trouble": self.trouble, "up": self.up, "failing": self.failing, "ends": self._ends}

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
            self._unready = 0 if self.up else self._unready + 1
            self._failures += 1
            self._ends += 1
            self.up = False
            logger.log(logging.INFO if self.trouble == told else logging.WARNING, "%s", self.trouble)
            told = self.trouble
            self._on_change()
            await asyncio.sleep(compute_backoff_s(self._failures))

    async def _run_once(self) -> None:
        """One life of the child, from its start to its end."""
        self.child = child = await self._nursery.start(self._spec)
        logger.info("%s started, process %d", self._spec.name, child.pid)
        self._on_change()
        if self._spec.ready is not None:
            await self._wait_ready(child, self._spec.ready)
        if not child.ended.done():
            self.up = self.was_up = True
            self._on_change()
        code = await asyncio.shield(child.ended)
        child.kill_group()
        self.child = None
        self.trouble = explain_end(self._spec.name, code, self._spec.log)

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
