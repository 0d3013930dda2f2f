"""A fault of the configuration is said in sentences that name the key and where it was written.

A fault never repeats the value: people paste a secret into the wrong key, and a message travels
further than a file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

_LISTED: Final = 10
_NEAREST: Final = 5
_LONGEST: Final = 64  # characters of a name; what is longer is compared by these


class ConfigError(Exception):
    """The configuration cannot be used. `faults`: a sentence each; `str()`: a line each."""

    def __init__(self, faults: Sequence[str] | str) -> None:
        self.faults: list[str] = [faults] if isinstance(faults, str) else list(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(self.faults)


class ReferenceError_(ConfigError):  # noqa: N801 - `ReferenceError` is a builtin with another meaning
    """A reference leads to nothing usable: missing, empty, unreadable or not text."""


class UnknownConnection(ConfigError):
    """Nobody configured a connection of that name. `known` are the names there are, the built-in
    one included; of many the sentence tells the nearest.
    """

    def __init__(self, name: str, known: Sequence[str], *, built_in: str = "") -> None:
        self.name = name
        self.known: tuple[str, ...] = tuple(known)
        if name == built_in:
            sentence = f'The built-in connection "{name}" is not running in this process.'
        else:
            meant = did_you_mean(name, self.known)
            sentence = f"There is no connection {quoted(name)}{meant}; {list_known(name, self.known)}."
        super().__init__(sentence)
        self.args = (name, self.known)  # what a copy is made from


class FaultyConnection(UnknownConnection):
    """A connection's line in the list is faulty. `faults` are the line's."""

    def __init__(self, name: str, known: Sequence[str], faults: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        ConfigError.__init__(self, faults)
        self.args = (name, self.known, tuple(faults))


class UnreadConnection(FaultyConnection):
    """Nobody can tell now what a name or a tag means: the list of connections could not be read."""


def quoted(text: str) -> str:
    """Return a name for a message: in quotes, control characters escaped, cut at 64 characters."""
    shown = text if len(text) <= 64 else text[:61] + "..."
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown) + '"'


def list_known(word: str, known: Sequence[str]) -> str:
    """Return `"known are: x, y"`; of more than ten names the nearest five, and their number."""
    if len(known) <= _LISTED:
        return f"known are: {', '.join(known)}"
    near = difflib.get_close_matches(word.lower()[:_LONGEST], known, n=_NEAREST, cutoff=0.5)
    return f"{len(known):,} are known" + (f", the nearest of them: {', '.join(near)}" if near else "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `" (did you mean x?)"`, or "" where nothing is close."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
