"""Object ids as Entra writes them, and made so that they follow from a name; bytes as tokens write
them.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b


def guid(text: str) -> str:
    """Return a GUID that depends on `text` alone."""
    return format_guid(blake2b(text.encode(), digest_size=16).hexdigest())


def format_guid(digits: str) -> str:
    """Write 32 hex digits as a GUID."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def write_base64url(raw: bytes) -> str:
    """Write bytes as JSON web tokens do: URL-safe base64 without padding (RFC 7515)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
