"""Options say how a list is to be read where the list leaves it open: those of `usher invite`, and
what a job keeps of them.

Everything is recognised when nothing is said. What cannot be told from the list is asked, and the
answer is one of these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from tasks.errors import InputError
from tasks.rows.fields import FIELDS

DELIMITERS: Final[Mapping[str, str]] = MappingProxyType(
    {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
)
"""What may stand between the cells of a CSV, and what it is called in a sentence."""

DELIMITER_NAMES: Final[Mapping[str, str]] = MappingProxyType({"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"})
"""The delimiters by the names that `--delimiter` takes: a tab and a bar are awkward to type."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What was said about a list; an empty value leaves it to be recognised.

    `mapping`: for a field the heading of its column ("" : no column; "#3": the third).
    `header_line`: the line, from 1, that holds the headings. `hidden`: "include" or "skip" an Excel
    sheet's hidden rows. `connections`: the names of those it goes through, where they are several;
    no job keeps them.
    """

    delimiter: str = ""
    encoding: str = ""
    mapping: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    sheet: str = ""
    hidden: str = ""
    header_line: int = 0
    connections: frozenset[str] = frozenset()

    def through(self, connections: Collection[str]) -> ListOptions:
        """Return the same for a list that goes through these connections."""
        return replace(self, connections=frozenset(connections if len(connections) > 1 else ()))

    def to_dict(self) -> dict[str, Any]:
        """Return what was said and nothing else, as JSON can hold it."""
        said = {
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "mapping": dict(self.mapping),
            "sheet": self.sheet,
            "hidden": self.hidden,
            "header_line": self.header_line,
        }
        return {name: value for name, value in said.items() if value}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> ListOptions:
        """The reverse of `to_dict`."""
        return cls(**said)


def parse_mapping(texts: tuple[str, ...]) -> dict[str, str]:
    """Return what `--map FIELD=HEADING` says, several times. Raises `InputError`."""
    mapping: dict[str, str] = {}
    for text in texts:
        name, equals, heading = text.partition("=")
        name = name.strip().lower().replace("-", "_")
        if not equals:
            raise InputError(
                "--map takes a field and the heading of its column, as in --map email='E-Mail geschäftlich'."
            )
        if name not in FIELDS:
            raise InputError(f"--map knows no such field; it can be one of {', '.join(FIELDS)}.")
        if name in mapping:
            raise InputError(f"--map names a column for {name} twice; keep one.")
        mapping[name] = heading.strip()
    if mapping.get("email") == "":
        raise InputError("--map email= names no column, and without addresses nobody can be invited.")
    return mapping


def parse_said(said: object) -> ListOptions:
    """Return the options that `to_dict` told, from wherever they come back. Raises `InputError` for
    what `to_dict` would never say.
    """
    kinds: dict[str, type] = dict.fromkeys(("delimiter", "encoding", "sheet", "hidden"), str)
    kinds |= {"mapping": dict, "header_line": int}
    if not isinstance(said, dict) or any(type(value) is not kinds.get(name) for name, value in said.items()):
        raise InputError("How the list is to be read is said in a way that usher does not know.")
    delimiter, hidden = said.get("delimiter", ""), said.get("hidden", "")
    if len(delimiter) > 1 or delimiter in ('"', "\r", "\n") or delimiter.isalnum():
        raise InputError("What separates the cells must be one sign that is neither a letter nor a quotation mark.")
    if hidden not in ("", "include", "skip") or said.get("header_line", 0) < 0:
        raise InputError("How the list is to be read is said in a way that usher does not know.")
    mapping = said.get("mapping", {})
    if not all(isinstance(text, str) for text in (*mapping, *mapping.values())):
        raise InputError("A column is named by its heading.")
    checked = parse_mapping(tuple(f"{name}={heading}" for name, heading in mapping.items()))
    return ListOptions.from_dict({**said, "mapping": checked} if mapping else said)
