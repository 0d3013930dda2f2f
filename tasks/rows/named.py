"""A command names sponsors, groups and teams for all rows of a list, beside those that a row names
itself.

They are put into the rows, so that nobody else has to look in two places. What a row of results
has done already does not count here: whoever names a group anew means it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tasks.errors import InputError
from tasks.rows.field_rules import RULES, Fault
from tasks.rows.row import BadRow, ValidRow, build_bad_row
from worker.ledger.model import STAGES_DONE

NAMED: Final = ("sponsors", "groups", "teams")
"""The columns of names, which are called as their stages are."""


def check_named(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what is named for all rows, by column. Raises `InputError`."""
    checked = {}
    for column, names in given.items():
        try:
            named = RULES[column](list(names))
        except Fault as fault:
            raise InputError(f"--{column.removesuffix('s')} {fault}.") from None
        if named:
            checked[column] = named
    return checked


def add_named(rows: Iterable[ValidRow | BadRow], named: Mapping[str, Sequence[str]]) -> Iterator[ValidRow | BadRow]:
    """Yield the rows with what is named for all of them; with more than is possible, bad ones."""
    for row in rows:
        yield _add(row, named) if isinstance(row, ValidRow) else row


def _add(row: ValidRow, named: Mapping[str, Sequence[str]]) -> ValidRow | BadRow:
    values: dict[str, Any] = row.row
    done: Sequence[str] = values.get(STAGES_DONE, ())
    for column, names in named.items():
        own = () if column in done else values.get(column, ())
        try:
            values[column] = RULES[column]([*own, *names])
        except Fault as fault:
            return build_bad_row(values, row.number, row.line, column, f"{fault}, with those given for all rows")
    if left := [stage for stage in done if stage not in named]:
        values[STAGES_DONE] = left
    else:
        values.pop(STAGES_DONE, None)
    return row
