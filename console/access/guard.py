"""A guard stands before every route: it finds out who asks, answers in their name to the audit
trail, and puts the security headers on whatever is answered.

It is plain ASGI, so that long answers stream through it. What a route needs of a viewer, the route
says itself (`need.py`).
"""

from __future__ import annotations

from contextlib import nullcontext
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from console.access.forms import FormSecret
from console.access.headers import SECURITY_HEADERS
from console.access.local import local_fault
from console.access.viewer import local_operator
from worker.ledger.audit.account import acting_as

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN: Final = ("/healthz", "/static/", "/v1/openapi.json")
"""Paths that everybody may read; nobody is asked for there."""


class Guard:
    """The outermost middleware of the console."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        state = request.state
        state.viewer, state.refusal, state.cookies = None, "", SimpleCookie()
        if not request.url.path.startswith(OPEN):
            self._identify(request)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _put_headers(message, state.cookies)
            await send(message)

        acting = acting_as(state.viewer.actor) if state.viewer else nullcontext()
        with acting:
            await self._app(scope, receive, answer)

    def _identify(self, request: Request) -> None:
        request.state.form_secret = FormSecret.of_local(request)
        request.state.refusal = local_fault(request)
        if not request.state.refusal:
            request.state.viewer = local_operator()


def _put_headers(message: Message, cookies: SimpleCookie) -> None:
    headers = MutableHeaders(raw=list(message.get("headers", [])))
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    for cookie in cookies.values():
        headers.append("set-cookie", cookie.OutputString())
    message["headers"] = headers.raw
