"""The pages of a sign-in: who it may be, and the form that takes the code back to the console."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs, urlencode, urlsplit

from sandbox.directory import Tenant, User
from sandbox.errors import LoginError
from sandbox.serving.html import page
from sandbox.signin.service import Asking, SignIn

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, or where a browser is sent."""

    status: int
    html: str = ""
    location: str = ""
    policy: str = ""


def authorize(sign_in: SignIn, method: str, tenant: str, query: str, body: bytes) -> Shown:
    """Answer /{tenant}/oauth2/v2.0/authorize: GET shows who may sign in, POST signs one in."""
    given = _read(query)
    try:
        asking, people = sign_in.ask(tenant, given)
    except LoginError as error:
        sorry = "<h1>Sorry, but we’re having trouble signing you in.</h1>"
        return Shown(400, page("Sorry", f"{sorry}<p>{escape(str(error))}</p>"))
    if method == "GET":
        return _choice(sign_in, asking, people)
    chosen = _read(body.decode("utf-8", "replace"))
    if "cancel" in chosen:
        declined = {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
        return _back(asking, declined)
    for one, user in people:
        if user.id == chosen.get("user"):
            return _back(asking, {"code": sign_in.code(asking, one, user), "session_state": secrets.token_hex(16)})
    return Shown(400, page("Sorry", "<h1>There is nobody of that id.</h1>"))


def _choice(sign_in: SignIn, asking: Asking, people: list[tuple[Tenant, User]]) -> Shown:
    buttons = "".join(
        f'<p><button name="user" value="{escape(user.id)}">{escape(user.display_name)}, {escape(user.mail or user.upn)}'
        f" ({escape(', '.join(sign_in.app.roles_of(user)) or 'no role')})</button></p>"
        for _, user in people[:_SHOWN]
    )
    host = escape(urlsplit(asking.redirect_uri).netloc)
    form = f'<form method="post">{buttons}<p><button name="cancel" value="1">Cancel</button></p></form>'
    return Shown(200, page("Sign in", f"<h1>Sign in to {host}</h1><p>Nobody needs a password here.</p>{form}"))


def _back(asking: Asking, told: Mapping[str, str]) -> Shown:
    told = {**told, "state": asking.state}
    if asking.response_mode != "form_post":
        mark = "#" if asking.response_mode == "fragment" else "?"
        return Shown(302, location=f"{asking.redirect_uri}{mark}{urlencode(told)}")
    fields = "".join(f'<input type="hidden" name="{escape(n)}" value="{escape(v)}">' for n, v in told.items())
    nonce = secrets.token_urlsafe(16)
    form = (
        f'<form method="post" action="{escape(asking.redirect_uri)}">{fields}<button>Continue</button></form>'
        f'<script nonce="{nonce}">document.forms[0].submit()</script>'
    )
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(asking.redirect_uri))
    policy = f"default-src 'none'; script-src 'nonce-{nonce}'; form-action {origin}"
    return Shown(200, page("Working…", form), policy=policy)


def _read(text: str) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(text, keep_blank_values=True).items()}
