"""Connections are chosen by a text: names, `tag:TAG` and `all`, with commas between them."""

from __future__ import annotations

from collections.abc import Iterable

from config.errors import did_you_mean
from config.values import parse_name

ALL = "all"
TAG = "tag:"


def split_chosen(text: str) -> list[str]:
    """Return the names, tags and `all` of a choice."""
    return [part for part in map(str.strip, text.split(",")) if part]


def means_several(text: str) -> bool:
    """Tell whether several connections may be meant; a single name is one."""
    parts = split_chosen(text)
    return len(parts) > 1 or any(part == ALL or part.startswith(TAG) for part in parts)


def choice_fault(text: str, known: Iterable[str]) -> str:
    """Return half a sentence about what of a choice can mean no connection, '' for none. A tag that
    nobody has is none: tags come and go.
    """
    parts, names = split_chosen(text), sorted(known)
    if not parts:
        return "must be the name of a connection"
    for part in parts:
        if part.startswith(TAG):
            try:
                parse_name(part.removeprefix(TAG))
            except ValueError:
                return "holds tag: without a tag of a-z, 0-9 and -"
        elif part != ALL and part not in names:
            return f"names no connection that is configured{did_you_mean(part, names)}"
    return ""
