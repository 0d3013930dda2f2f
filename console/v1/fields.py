"""Sentences of the command are told to programs: its options are called as the API's fields are.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from console.options import rename_options

_FIELD_OF: Final[Mapping[str, str]] = {
    "map": "mapping",
    "group": "groups",
    "sponsor": "sponsors",
    "team": "teams",
    "no-send-message": "send_message false",
}


def as_fields(sentence: str) -> str:
    """Return a sentence of the command with its options called as the API's fields are."""
    return rename_options(sentence, lambda option: _FIELD_OF.get(option, option.replace("-", "_")))
