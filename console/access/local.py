"""A console without a configured sign-in serves the machine that it runs on, and nobody else.

Whoever may open a port of this machine is one local operator. So what only looks like this machine
is refused: another name that resolves to it (DNS rebinding), and a proxy that speaks for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from config.values import is_loopback

if TYPE_CHECKING:
    from starlette.requests import Request

NO_SIGN_IN: Final = (
    "No sign-in is configured, so the console serves nobody but the machine it runs on: whoever runs it configures"
    " [console] (docs/console-signin.md)."
)
_PROXIES: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def is_local(request: Request) -> bool:
    """Tell whether a request comes from this machine."""
    from_here = request.client is not None and is_loopback(request.client.host)
    return from_here and is_loopback(host_name(request)) and not any(name in request.headers for name in _PROXIES)


def host_name(request: Request) -> str:
    """Return the host that a request names, '' where it names none that could be one."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
