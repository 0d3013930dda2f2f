"""The headers that every answer of the console carries, so that a browser lets nobody else's page
frame it, read it, or run a script in it.

https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from __future__ import annotations

from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
"""No inline script or style, nothing from other hosts."""

SECURITY_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",  # what knows no frame-ancestors
    # Not `no-referrer`: with it a browser sends `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",  # there are addresses in pages and answers; files that never change say otherwise
}
"""Put where the route itself has put none of that name."""

HSTS: Final = "max-age=31536000"
"""`Strict-Transport-Security` where the console's own address is https: a year, this host alone."""
