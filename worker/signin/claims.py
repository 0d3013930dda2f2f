"""A token says whose it is and what it allows, where it can be read: hints, which nobody verifies.

Clients are told not to look into tokens for Graph, so nothing may depend on there being claims.
https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any


def read_claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT without verifying it; none where there are none to read. Pure."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
