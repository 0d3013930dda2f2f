"""Sentences of the command are told to programs: its options are called as the API's fields are.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_OPTION: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_FIELD_OF: Final[Mapping[str, str]] = {
    "map": "mapping",
    "group": "groups",
    "sponsor": "sponsors",
    "team": "teams",
    "no-send-message": "send_message false",
}


def as_fields(sentence: str) -> str:
    """Return a sentence of the command with its options called as the API's fields are."""
    return _OPTION.sub(lambda found: _FIELD_OF.get(found[1], found[1].replace("-", "_")), sentence)
