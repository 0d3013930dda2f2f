"""Two cookies carry ids and nothing else: the session's, and that of a sign-in under way. No script
reads them; where the console's address is https they are sent over TLS alone, and bound to its host
(`__Host-`).

https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from config.console import ConsoleSection


def session_cookie(console: ConsoleSection) -> str:
    """Return the name of the session's cookie."""
    return _name(console, "usher-session")


def flow_cookie(console: ConsoleSection) -> str:
    """Return the name of the cookie of a sign-in that has begun."""
    return _name(console, "usher-signin")


def put_session(cookies: SimpleCookie, console: ConsoleSection, value: str) -> None:
    """Set the session's cookie, or remove it (''). `Lax`: Entra's page leads to the first one."""
    _put(cookies, session_cookie(console), value, {"samesite": "Lax", "secure": _is_https(console)})


def put_flow(cookies: SimpleCookie, console: ConsoleSection, value: str, for_s: int) -> None:
    """Set the cookie of a sign-in, or remove it (''). `None`: Entra's page posts its answer to ours
    (form_post), and browsers send it only with a secure cookie.
    """
    _put(cookies, flow_cookie(console), value, {"samesite": "None", "secure": True, "max-age": for_s})


def _put(cookies: SimpleCookie, name: str, value: str, more: dict[str, Any]) -> None:
    cookies[name] = value
    attributes: dict[str, Any] = {"path": "/", "httponly": True, **more, **({} if value else {"max-age": 0})}
    cookies[name].update(attributes)


def _name(console: ConsoleSection, name: str) -> str:
    if _is_https(console):
        return f"__Host-{name}"
    return f"{name}-{urlsplit(console.public_url or '').port or 80}"  # cookies know no ports


def _is_https(console: ConsoleSection) -> bool:
    return (console.public_url or "").startswith("https://")
