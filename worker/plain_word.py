"""A log or an answer may repeat plain words of somebody's message, never an address. Pure."""

from __future__ import annotations

import re
from typing import Final

_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,48}", re.ASCII)


def plain_word(given: object) -> str:
    """Return a short word without an @ as it is, anything else as a stand-in.

    Producers mix up arguments, and then an address stands where a connection or a field is named.
    """
    return given if isinstance(given, str) and _PLAIN_WORD.fullmatch(given) else "(not shown)"
