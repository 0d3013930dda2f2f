"""A guard stands before every route: it finds out who asks, answers in their name to the audit
trail, and puts the security headers on whatever is answered.

It is plain ASGI, so that long answers stream through it. What a route needs of a viewer, the route
says itself (`need.py`).
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request

from console.access import bearer
from console.access.access import access_of
from console.access.cookies import session_cookie
from console.access.forms import FormSecret
from console.access.headers import HSTS, SECURITY_HEADERS
from console.access.local import NO_SIGN_IN, is_local
from console.access.viewer import Viewer, local_operator
from console.problems import find_problem
from worker.ledger.audit.account import acting_as
from worker.producers import note_refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from config.settings import Settings

API: Final = "/v1/"
OPEN: Final = ("/healthz", "/static/", "/v1/openapi.json")
"""Paths that everybody may read; nobody is asked for there."""
_WANTED: Final = "Bring a token: Authorization: Bearer TOKEN (docs/console-signin.md)."
_NO_PROGRAM: Final = "A token opens /v1; pages are for people, who sign in."


class Guard:
    """The outermost middleware of the console. Of a request's `state` it sets `viewer` (None:
    nobody who is known), `refused` (what is answered then), `cookies` (to be set), `form_secret`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        state = request.state
        state.viewer, state.refused, state.form_secret, state.cookies = None, None, None, SimpleCookie()
        settings: Settings = request.app.state.settings()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _put_headers(message, state.cookies, settings)
            await send(message)

        if not path_of(request).startswith(OPEN):
            try:
                state.viewer = await self._identify(request, settings)
            except HTTPException as error:
                state.refused = error
            except Exception as error:  # noqa: BLE001 - Redis or Entra is away: told where the route asks who it is
                state.refused = find_problem(error)
        with acting_as(state.viewer.actor) if state.viewer else nullcontext():
            await self._app(scope, receive, answer)

    async def _identify(self, request: Request, settings: Settings) -> Viewer | None:
        header, is_api = request.headers.get("authorization"), path_of(request).startswith(API)
        if header is not None and not is_api and header[:7].lower() == "bearer ":
            await self._note_program(request, header, settings)  # another kind, of a page, is for a proxy before us
            raise HTTPException(403, _NO_PROGRAM)
        if header is not None and is_api:
            address = request.client.host if request.client else ""
            return await bearer.identify(header, address, settings, access_of(request))
        if settings.console.signs_in:
            return await self._signed_in(request, settings)
        request.state.form_secret = FormSecret.of_local(request)
        if not is_local(request):
            takes_tokens = bool(settings.producers) or settings.console.takes_tokens
            raise bearer.refused(_WANTED) if is_api and takes_tokens else HTTPException(403, NO_SIGN_IN)
        if is_api and request.state.form_secret.is_new and await _needs_token(request, settings):
            raise bearer.refused(_WANTED)  # only our own pages ask on behalf of who uses this machine
        return local_operator()

    async def _note_program(self, request: Request, header: str, settings: Settings) -> None:
        """Have the audit trail tell of a producer that asks for a page."""
        if not settings.producers:
            return
        with suppress(HTTPException):  # a token that opens nothing has been told of
            address, access = request.client.host if request.client else "", access_of(request)
            viewer = await bearer.identify(header, address, settings, access)
            if viewer.bound:
                await note_refused(access.trail, viewer.bound, f"page: {_NO_PROGRAM}")

    async def _signed_in(self, request: Request, settings: Settings) -> Viewer | None:
        cookie = session_cookie(settings.console)
        name = request.cookies.get(cookie, "")
        request.state.form_secret = FormSecret(cookie, name)
        return await access_of(request).sessions.find(name, settings.console) if name else None


async def _needs_token(request: Request, settings: Settings) -> bool:
    """Tell whether a program needs a token: where a producer is configured, or was before."""
    return bool(settings.producers) or await access_of(request).need.since() is not None


async def is_still_known(request: Request) -> bool:
    """Tell whether whoever asked is still known, for an answer that goes on for long: the token may
    have been taken back, or the session have ended.
    """
    settings: Settings = request.app.state.settings()
    header, secret = request.headers.get("authorization"), request.state.form_secret
    if header is not None:
        return await bearer.still_opens(header, settings, access_of(request))
    if settings.console.signs_in:
        name = request.cookies.get(session_cookie(settings.console), "")
        return await access_of(request).sessions.find(name, settings.console, use=False) is not None
    return secret is None or not secret.is_new or not await _needs_token(request, settings)


def path_of(request: Request) -> str:
    """Return the path of a request. Not `request.url.path`, which is taken apart from a text with
    the Host in it: `Host: x/v1/?` would choose it.
    """
    return str(request.scope["path"])


def _put_headers(message: Message, cookies: SimpleCookie, settings: Settings) -> None:
    headers = MutableHeaders(raw=list(message.get("headers", [])))
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if (settings.console.public_url or "").startswith("https://"):
        headers["strict-transport-security"] = HSTS
    for cookie in cookies.values():
        headers.append("set-cookie", cookie.OutputString())
    message["headers"] = headers.raw
