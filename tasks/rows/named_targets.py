"""A cell names sponsors, groups or teams: by object id, by address, or by a name that is unique in
the tenant.

Pure. What a name means is for the directory to say (`worker/directory/targets.py`).
"""

from __future__ import annotations

import re
from typing import Final

_BETWEEN: Final = re.compile(r"[;\r\n]")
_OBJECT_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ADDRESS: Final = re.compile(r"[^@\s;,]+@[^@\s;,]+\.[^@\s;,]+")


def split_targets(text: str) -> list[str]:
    """Return the names in a cell, trimmed, without empty ones.

    Semicolons and line ends part them. A comma does only between ids and addresses: it may stand in
    a name (`Finance, Oslo`).
    """
    names: list[str] = []
    for piece in _BETWEEN.split(text):
        parts = [part.strip() for part in piece.split(",") if part.strip()]
        apart = all(_ADDRESS.fullmatch(part) or _OBJECT_ID.fullmatch(part) for part in parts)
        names += parts if apart else [piece.strip()]
    return [name for name in names if name]
