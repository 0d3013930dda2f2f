"""Nobody may hold the server up: bodies that are too large or come too slowly end, and who asks too
often waits.

Plain ASGI, so that long bodies and answers stream through it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from console.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY: Final = (256 << 20) + (1 << 20)
"""Bytes of any body: a list of 256 MB in a form."""
_SILENT_S: Final = 20.0
_SLOWEST: Final = 1_000  # bytes a second, over the whole of a body
_SLOW_AFTER_S: Final = 60.0

_A_SECOND: Final = 100.0
_AT_ONCE: Final = 300.0
_KNOWN: Final = 10_000
"""Callers whose requests are counted; of more, who was silent longest begins anew."""


class Limits:
    """The middleware that all requests pass through, behind the guard who knows whose they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rates = Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._refuse(scope)
        if problem is not None:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, _Body(receive).receive, send)

    def _refuse(self, scope: Scope) -> Problem | None:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > MOST_BODY:
            return _too_large()
        viewer = scope.get("state", {}).get("viewer")
        caller = str(viewer.actor) if viewer is not None else (scope.get("client") or ("",))[0]
        wait_s = self._rates.take(caller, time.monotonic())
        if wait_s:
            return Problem(429, f"More than {_A_SECOND:g} requests a second: ask more slowly.", retry_after_s=wait_s)
        return None


class _Body:
    """A body as it comes. Raises `Problem` where it is too large, or too slow."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._began_s = time.monotonic()
        self._size = 0
        self._ended = False

    async def receive(self) -> Message:
        """Return what comes next."""
        if self._ended:  # what is waited for now is that the other side leaves
            return await self._receive()
        try:
            async with asyncio.timeout(_SILENT_S):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow() from None
        self._size += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._size > MOST_BODY:
            raise _too_large()
        took_s = time.monotonic() - self._began_s
        if not self._ended and took_s > _SLOW_AFTER_S and self._size < took_s * _SLOWEST:
            raise _too_slow()
        return message


class Rates:
    """How many requests each caller may make: a bucket each, in this process's memory."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now_s: float) -> float:
        """Count a request; returns how long to wait where it is one too many, else 0."""
        left, since_s = self._left.pop(caller, (_AT_ONCE, now_s))
        left = min(_AT_ONCE, left + (now_s - since_s) * _A_SECOND)
        self._left[caller] = (max(0.0, left - 1) if left >= 1 else left, now_s)
        while len(self._left) > _KNOWN:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else max((1 - left) / _A_SECOND, 0.01)


def _too_large() -> Problem:
    return Problem(413, f"More than {MOST_BODY >> 20} MB are not taken at once; nothing was accepted.")


def _too_slow() -> Problem:
    return Problem(408, "The body came too slowly, and was given up; nothing was accepted.")
