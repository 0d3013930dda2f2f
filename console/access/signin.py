"""People sign in with Entra and sign out: `/signin` sends them there, `/signin/callback` takes what
Entra's page posts back, `/signout` ends the session.

Every sign-in begins a session of a new id, so that an id somebody knew before is worth nothing
(session fixation).
"""

from __future__ import annotations

import asyncio
import logging
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from console.access.access import access_of
from console.access.cookies import flow_cookie, put_flow, put_session, session_cookie
from console.access.entra_tokens import NoRole, NotBelieved, read_id_token
from console.access.need import Viewing
from console.access.sessions import FLOW_S, Flow
from console.access.viewer import Kind
from worker.errors import TokenRefused
from worker.ledger.audit.account import acting_as
from worker.signin.people import SignInFailed

if TYPE_CHECKING:
    from config.console import ConsoleSection
    from config.settings import Settings
    from worker.ledger.audit.trail import Trail

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

CALLBACK: Final = "/signin/callback"
_MOST_BYTES: Final = 64 << 10  # of what Entra's page posts; a code is some 2 kB
_BEGIN_AGAIN: Final = "This sign-in took too long, or was begun in another browser: sign in again."


@router.get("/signin")
async def sign_in(request: Request, to: str = "/", moved: bool = False) -> Response:
    """Send a person to Entra, and afterwards back to `to`, a page of this console. Whoever came by
    another address (127.0.0.1 for localhost) is first sent to the one that Entra knows, once
    (`moved`), for a cookie is of one host.
    """
    console, to = _console(request), own_path(to)
    if not moved and request.headers.get("host", "").lower() != urlsplit(console.public_url or "").netloc:
        return RedirectResponse(f"{console.public_url}/signin?{urlencode({'to': to, 'moved': 'true'})}", 303)
    if request.state.viewer is not None:
        return RedirectResponse(to, 303)
    access = access_of(request)
    try:
        msal = await asyncio.to_thread(access.people.begin, console, f"{console.public_url}{CALLBACK}")
    except TokenRefused as error:
        raise _nobody_can(error) from None
    put_flow(_cookies(request), console, await access.sessions.keep_flow(Flow(msal, to)), FLOW_S)
    return RedirectResponse(msal["auth_uri"], 303)


@router.post(CALLBACK)
async def finish(request: Request) -> Response:
    """Take Entra's answer, and begin a session."""
    console, access = _console(request), access_of(request)
    answer = await _read_form(request)
    name = request.cookies.get(flow_cookie(console), "")
    put_flow(_cookies(request), console, "", 0)
    flow = await access.sessions.take_flow(name) if name else None
    if flow is None:
        raise HTTPException(400, _BEGIN_AGAIN)
    try:
        token = await asyncio.to_thread(access.people.finish, console, flow.msal, answer)
        viewer = await read_id_token(token, console, access.signing_keys)
    except SignInFailed as error:
        raise HTTPException(400, str(error)) from None
    except TokenRefused as error:
        raise _nobody_can(error) from None
    except NotBelieved as error:
        log.warning("a sign-in is not believed: %s", error)
        raise HTTPException(403, "Entra's answer is not for this console, so nobody is signed in.") from None
    except NoRole as error:
        raise HTTPException(
            403,
            f"{error.name} has no role here, so nobody is signed in: whoever gives out the app roles of usher in Entra"
            " can change that.",
        ) from None
    await access.sessions.end(request.cookies.get(session_cookie(console), ""))
    put_session(_cookies(request), console, await access.sessions.begin(viewer, console))
    with acting_as(viewer.actor):
        await _trail(request).note("console.signed_in", role=viewer.role.word)
    return RedirectResponse(flow.to, 303)


@router.post("/signout")
async def sign_out(request: Request, viewer: Viewing) -> Response:
    """End the session of whoever asks."""
    if viewer.kind is Kind.PERSON:
        console = _console(request)
        await access_of(request).sessions.end(request.cookies.get(session_cookie(console), ""))
        put_session(_cookies(request), console, "")
        await _trail(request).note("console.signed_out")
    return RedirectResponse("/signedout", 303)


@router.get("/signedout")
async def signed_out() -> Response:
    """Say that the session has ended; Entra's own goes on, as for every other site."""
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>usher: signed out</title>'
        '<link rel="icon" href="/static/usher.svg"><link rel="stylesheet" href="/static/usher.css">'
        "<main><h1>You are signed out of usher.</h1>"
        "<p>Your sign-in with Microsoft goes on: on a shared machine sign out there too.</p>"
        '<p><a href="/signin">Sign in again</a></p></main></html>'
    )
    return Response(page, media_type="text/html")


def own_path(to: str) -> str:
    """Return where to go after a sign-in: a path of this console, whatever was asked for."""
    # A browser reads a backslash as a slash, and drops tabs and line breaks
    if not to.startswith("/") or to.startswith("//") or "\\" in to or not to.isprintable() or len(to) > 2000:
        return "/"
    parts = urlsplit(to)
    return to if not parts.scheme and not parts.netloc and not parts.path.startswith("//") else "/"


def _nobody_can(error: TokenRefused) -> HTTPException:
    log.error("nobody can sign in to the console: %s", error)
    return HTTPException(
        503,
        "Nobody can sign in just now, for Entra refuses the console itself: whoever runs usher finds why in the"
        " server's log.",
    )


def _console(request: Request) -> ConsoleSection:
    settings: Settings = request.app.state.settings()
    if not settings.console.signs_in:
        raise HTTPException(404, "No sign-in is configured ([console], docs/console-signin.md).")
    return settings.console


async def _read_form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, "This is no answer of Entra.")
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _cookies(request: Request) -> SimpleCookie:
    cookies: SimpleCookie = request.state.cookies
    return cookies


def _trail(request: Request) -> Trail:
    trail: Any = request.app.state.services.trail
    return trail  # type: ignore[no-any-return]
