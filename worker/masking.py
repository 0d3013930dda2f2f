"""No line of a log may hold these, whatever was logged: addresses are cut to `a***@example.com`,
tokens and the queries of links go.

The code logs none of it in the first place. This is the belt for texts that are not ours: a
library's, Microsoft's, a traceback's. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_DOTS: Final = ".\u3002\uff0e\uff61"  # what IDNA reads as a dot
# A domain has a dot; `celery@host`, a node's name, has none and is kept. `%40` is how an address
# stands in a URL.
_ADDRESS: Final = re.compile(
    rf"([^\s@<>()\[\]\",;:'])[^\s@<>()\[\]\",;:]{{0,63}}(@|%40|\uff20)(?=[^\s@{_DOTS}]{{1,253}}[{_DOTS}][^\s@])",
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(r"(\w://)[^\s/@]+@")
_QUERY: Final = re.compile(r"(https?://[^\s?'\"<>]{1,500})\?[^\s'\"<>]*", re.IGNORECASE)
_TOKEN: Final = re.compile(r"\b(?:eyJ[\w-]{5,}(?:\.[\w-]*)*|Bearer\s+[^\s'\"]+)")


def mask_text(text: str) -> str:
    """Return a text without addresses, logins in URLs, queries of links and tokens."""
    if "://" in text:
        text = _QUERY.sub(r"\1?…", _LOGIN.sub(r"\1***@", text))
    if "@" in text or "%40" in text or "\uff20" in text:
        text = _ADDRESS.sub(r"\1***\2", text)
    if "eyJ" in text or "Bearer" in text:
        text = _TOKEN.sub("(token)", text)
    return text


def mask_value(value: Any) -> Any:
    """Mask every text in a value; what is no JSON type becomes its text first."""
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {mask_text(str(key)): mask_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(item) for item in value]
    return mask_text(str(value))
