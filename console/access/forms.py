"""A form counts only where this console's own page showed it: a request that changes something
comes from our origin, and brings a token that only our page knows (CSRF).

The token is derived from the browser's cookie, which no script and no other site can read; so
nothing is stored, and several instances agree.
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD: Final = "csrf_token"
HEADER: Final = "x-csrf-token"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_FOREIGN: Final = (
    "This request does not come from a page of this console, so nothing was done: open the console and try from there."
)


@dataclass(frozen=True, slots=True)
class FormSecret:
    """What the tokens of one browser follow from: the value of its cookie. `is_new`: the cookie is
    still to be set.
    """

    cookie: str
    value: str
    is_new: bool = False

    @classmethod
    def of_local(cls, request: Request) -> FormSecret:
        """Return the secret of a browser without a sign-in; its cookie's name has the port."""
        name = f"usher-local-{request.url.port or 80}"
        value = request.cookies.get(name, "")
        return cls(name, value) if len(value) >= 32 else cls(name, secrets.token_urlsafe(32), is_new=True)

    @property
    def token(self) -> str:
        """The token that a form of this browser brings."""
        return hmac.new(self.value.encode(), b"usher form", hashlib.sha256).hexdigest()


def csrf_token(request: Request) -> str:
    """Return what a page puts into the hidden field `csrf_token` of each of its forms, and htmx
    into the header `X-CSRF-Token`; '' for who brings a token with each request, and needs none.
    """
    secret: FormSecret | None = request.state.form_secret
    if secret is None:
        return ""
    if secret.is_new:
        request.state.cookies[secret.cookie] = secret.value
        request.state.cookies[secret.cookie].update({"path": "/", "httponly": True, "samesite": "Strict"})
    return secret.token


async def check_form(request: Request, *, own_origin: str) -> None:
    """Raise HTTPException 403 where a request that changes something does not come from our own
    page.

    Reads the form, which the route then finds read, only where no header brings the token.
    """
    if request.method in _SAFE:
        return
    if not _is_same_origin(request, own_origin):
        raise HTTPException(403, _FOREIGN)
    given = request.headers.get(HEADER, "")
    if not given and request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS:
        field = (await request.form()).get(FIELD)
        given = field if isinstance(field, str) else ""
    secret: FormSecret | None = request.state.form_secret
    if secret is None or not hmac.compare_digest(given.encode("utf-8", "replace"), secret.token.encode()):
        raise HTTPException(403, "The page was open for too long, or its sign-in ended; reload it and try again.")


def is_from_browser(request: Request) -> bool:
    """Tell whether a browser sent a request: it says from where."""
    return "origin" in request.headers or "sec-fetch-site" in request.headers


def _is_same_origin(request: Request, own_origin: str) -> bool:
    origin = request.headers.get("origin")
    if origin is not None:
        return origin.lower() == own_origin
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
