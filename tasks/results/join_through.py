"""The outcomes of a list that went through several connections come back beside it, a line each: of
a row that went through one, as ever; of a row that went through all, each cell tells whose it is
where they differ.

Every connection's outcomes are matched by themselves, in the order of the list's rows that went
through it, or by address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from config.connections import ALL
from tasks.errors import OutputError
from tasks.results.join import PARTS, Matcher
from tasks.rows.fields import CONNECTIONS
from worker.channels import NOBODYS

Outcome = Mapping[str, Any]


class Through:
    """Matchers by connection, as one."""

    def __init__(self, parts: Mapping[str, Matcher]) -> None:
        self._parts = parts
        self._taken: Counter[str] = Counter()

    def take(self, number: int, email: str, connection: str | None = "") -> Outcome | None:
        """As in `Matcher`: the outcome of a row that names this connection, or ALL; '' for one that
        names none, which went through all, or was refused. One that names another, or is bad and
        names none (None), is nobody's, or lies with one of them.
        """
        found = []
        for name in self._whose(email, connection):
            self._taken[name] += 1
            if (outcome := self._parts[name].take(self._taken[name], email)) is not None:
                found.append((name, outcome))
        return _merge(found) if found else None

    def knows(self, number: int, email: str) -> bool:
        """As in `Matcher`."""
        return any(part.knows(number, email) for part in self._parts.values())

    def finish(self) -> int:
        """As in `Matcher`; a connection has nobody in common with the list only where none has."""
        left, strangers = 0, 0
        for part in self._parts.values():
            try:
                left += part.finish()
            except OutputError:
                strangers += 1
                if strangers == len(self._parts):
                    raise
        return left

    def _whose(self, email: str, connection: str | None) -> Sequence[str]:
        every = [name for name in self._parts if name != NOBODYS]
        if connection == "":  # refused, where others of the list name one
            return (
                [NOBODYS] if self._next(NOBODYS, email) and not all(self._next(one, email) for one in every) else every
            )
        if connection == ALL:
            return every
        if connection is not None and connection in self._parts:
            return [connection]
        if NOBODYS in self._parts:
            return [NOBODYS]
        return [name for name in self._parts if self._next(name, email)][:1]

    def _next(self, name: str, email: str) -> bool:
        """Tell whether a connection has this address as its next row."""
        return name in self._parts and self._parts[name].knows(self._taken[name] + 1, email)


def _merge(found: Sequence[tuple[str, Outcome]]) -> dict[str, Any]:
    """Return the outcomes of one line as one. Pure."""
    names, parts = [name for name, _ in found], [outcome for _, outcome in found]
    merged = {
        key: _cell(names, [one.get(key) for one in parts]) for key in dict.fromkeys(k for one in parts for k in one)
    }
    return {**merged, CONNECTIONS: "; ".join(names), PARTS: parts}


def _cell(names: Sequence[str], values: Sequence[Any]) -> Any:
    if all(value == values[0] for value in values):
        return values[0]
    return "; ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True) if value not in (None, ""))
