"""How a producer's message is refused: with a result that says why, never with an exception and never in silence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

WIRE_VERSION = 1
"""Version of the producers' contract (`docs/producers.md`). A message may name the one it speaks as `version`."""


class Refused(Exception):
    """The message cannot be accepted; `errors` says why, a sentence each."""

    def __init__(self, *errors: str) -> None:
        super().__init__(" ".join(errors))
        self.errors = list(errors)

    def result(self) -> dict[str, Any]:
        """Return the task's result."""
        return {"status": "refused", "errors": self.errors}


def read_arguments(args: Iterable[Any], kwargs: Mapping[str, Any], *, names: tuple[str, ...]) -> dict[str, Any]:
    """Join positional and named arguments as Python would, but refuse in words; checks the wire version. Raises `Refused`."""
    given = dict(kwargs)
    version = given.pop("version", WIRE_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= WIRE_VERSION:
        raise Refused(
            f"This message speaks version {str(version)[:20]} of the contract, this worker understands {WIRE_VERSION}; nothing was "
            "accepted: whoever runs usher upgrades its workers."
        )
    for name, value in zip(names, args, strict=False):
        if name in given:
            raise Refused(f"{name} was given twice.")
        given[name] = value
    if len(list(args)) > len(names):
        raise Refused(f"Too many arguments: this task takes {', '.join(names)} in this order, and the rest by name.")
    return given


def take_text(given: dict[str, Any], name: str, *, required: bool = True) -> str:
    """Take a text argument out of `given`. Raises `Refused`."""
    value = given.pop(name, None)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"{name} is missing or not a text.")
    return value.strip()


def take_number(given: dict[str, Any], name: str, default: float, *, most: float) -> float:
    """Take a number from 0 to `most` out of `given`; more is cut. Raises `Refused`."""
    value = given.pop(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < 0:
        raise Refused(f"{name} must be a number, 0 or more.")
    return min(float(value), most)


def refuse_unknown(given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse fields nobody knows, naming what was perhaps meant."""
    names = list(known)
    errors = []
    for name in given:
        close = difflib.get_close_matches(str(name), names, 1)
        hint = f"; did you mean {close[0]}?" if close else "."
        errors.append(f"{str(name)[:40]} is not a field{hint}")
    if errors:
        raise Refused(*errors)
