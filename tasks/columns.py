"""From the headings people write to the fields of a row: `E-Mail`, `Display Name` and `redirectUrl` are what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.bulk_template import TEMPLATE_COLUMNS, template_name
from tasks.errors import InputError
from tasks.fields import FIELDS, OUTCOME_COLUMNS

_SEPARATORS: Final = re.compile(r"[\s_\-]+")
_FIELD_BY_KEY: Final = {field.replace("_", ""): field for field in FIELDS}
_OUTCOME_KEYS: Final = frozenset(column.replace("_", "") for column in OUTCOME_COLUMNS)
_SHOWN: Final = 10  # headings named in one sentence
_DELIMITERS: Final = ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one heading stands for: a field, or nothing; `known` is also true for a results file's own columns."""

    field: str | None
    known: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a CSV, left to right: a field's name, or None for a column that is not read.

    `ignored` are the headings that mean nothing here, for one warning. `from_template`: the admin center's template.
    """

    fields: tuple[str | None, ...]
    ignored: tuple[str, ...]
    from_template: bool


def parse_heading(heading: str) -> Meaning:
    """Say what a heading means; case, blanks, underscores and hyphens make no difference."""
    if (name := template_name(heading)) is not None and name in TEMPLATE_COLUMNS:
        return Meaning(TEMPLATE_COLUMNS[name], known=True)
    key = _SEPARATORS.sub("", heading).lower()
    field = _FIELD_BY_KEY.get(key)
    return Meaning(field, known=field is not None or key in _OUTCOME_KEYS)


def parse_headings(headings: Sequence[str], name: str) -> Columns:
    """Read the heading line of the file called `name`; raises `InputError` when there is no e-mail column, or two."""
    fields: list[str | None] = []
    ignored: list[str] = []
    taken: dict[str, str] = {}
    width = max((index for index, heading in enumerate(headings, 1) if heading.strip()), default=0)
    for index, heading in enumerate(headings[:width], 1):
        meaning = parse_heading(heading)
        if meaning.field is not None and meaning.field in taken:
            raise InputError(
                f"{name} has two columns for {meaning.field}, {quote_headings([taken[meaning.field], heading])}; keep one."
            )
        if meaning.field is not None:
            taken[meaning.field] = heading
        elif not meaning.known:
            ignored.append(heading if heading.strip() else f"(column {index}, without a heading)")
        fields.append(meaning.field)
    if "email" not in taken:
        raise InputError(_no_email(headings[:width], name))
    from_template = any(template_name(heading) in TEMPLATE_COLUMNS for heading in headings)
    return Columns(tuple(fields), tuple(ignored), from_template)


def describe_ignored(headings: Iterable[str], what: str = "column") -> str:
    """Return the one warning about columns (or, in JSONL, keys) that mean nothing to usher."""
    names = list(headings)
    return f"Ignored {what}{'s' if len(names) != 1 else ''}: {quote_headings(names)}."


def quote_headings(headings: Sequence[str]) -> str:
    """Return headings for a sentence: quoted, shortened, ten at most, and nothing that a terminal would obey."""
    shown = [_quote(heading) for heading in headings[:_SHOWN]]
    more = len(headings) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _quote(heading: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in heading.strip()[:41])
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"


def _no_email(headings: Sequence[str], name: str) -> str:
    if any("@" in heading for heading in headings):  # a list without headings; its addresses stay out of the message
        return f"{name} begins with an address, not with headings; put a line with the word email above the addresses."
    for delimiter, called in _DELIMITERS:
        if any(delimiter in heading for heading in headings):
            return f"{name} seems to be separated by {called}; save it with commas, and name the address column email."
    return (
        f"{name} has no column called email; it has {quote_headings(headings)}. "
        f"Known columns: {', '.join(FIELDS)} (only email is required)."
    )
