"""A record is checked: it becomes a `ValidRow` that can be sent, or a `BadRow` that says which
column is wrong and why.

Pure and total: the same rules hold for a line of a file and for a row in a producer's message, and
no value raises. A reason never repeats what stood in the cell (a misplaced column would put
addresses into logs); it completes "column …".

Both results are named tuples, not dataclasses: a million of them are made per list, in a third of
the time. Their `repr` shows no guest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tasks.errors import InputError
from tasks.rows.field_rules import RULES, Fault
from tasks.rows.fields import FIELDS, INVALID, NOT_KEPT, WELL_DONE, stage_of
from worker.ledger.model import STAGES_DONE

_ECHO: Final = 320  # how much of a wrong value is kept so that its row can be recognised

_NOT_KEPT: Final = (
    "was refused before for one of its cells, which the results do not keep: mend it in the list that it stands in"
)
_TOLD: Final = re.compile(r"Not sent: (?:row (\d+)|line (\d+)): (.*)", re.DOTALL)
_NO_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({})


class ValidRow(NamedTuple):
    """A row that may be sent.

    `number` counts data rows from 1; `line` is the physical line it begins on, None where there was
    no file. `row` holds the fields that were given: text, except `send_message` (bool), `sponsors`,
    `groups` and `teams` (lists of text).
    """

    number: int
    line: int | None
    row: dict[str, Any]

    def __repr__(self) -> str:
        return f"ValidRow(number={self.number}, line={self.line}, fields={sorted(self.row)})"


class BadRow(NamedTuple):
    """A row that will not be sent. `column` is "" where the row as a whole is at fault; `reason`
    completes a sentence.

    `email`, `display_name` and `ref` are echoed as they stood, shortened, so that its owner finds
    the row again; `connection` tells whose results it belongs to.
    """

    number: int
    line: int | None
    column: str
    reason: str
    email: str = ""
    display_name: str = ""
    ref: str = ""
    connection: str = ""

    def __repr__(self) -> str:
        return f"BadRow(number={self.number}, line={self.line}, column={self.column!r}, reason={self.reason!r})"

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line is not None else f"row {self.number}"
        return f"{place}: {self.column} {self.reason}" if self.column else f"{place}: {self.reason}"


def validate_record(
    record: object, number: int, line: int | None = None, defaults: Mapping[str, Any] = _NO_DEFAULTS
) -> ValidRow | BadRow:
    """Check one record whose keys are field names (`fields.FIELDS`) and return the row, or its
    first fault.

    Values are text, or, from JSON, what the field is: a boolean, a list of texts. None and blank
    text mean "not given". `defaults` (already checked: `validate_defaults`) fill what was not
    given. `groups_status` and the like, as in results that are fed back, say which stages are not
    done again (`fields.STAGES_DONE`). Another unknown key is a fault that names it.
    """
    if not isinstance(record, dict):  # from a producer's message; tested as dict because a Mapping is ten times slower
        return BadRow(number, line, "", "is not an object with fields")
    row: dict[str, Any] = dict(defaults) if defaults else {}
    name = ""
    try:
        for name, value in record.items():
            if value is None or value == "":
                continue
            check = RULES.get(name)
            if check is None:
                if name == NOT_KEPT:
                    if value == INVALID:
                        return _bad(record, number, line, "", _NOT_KEPT)
                    continue
                if not (stage := stage_of(str(name))):
                    return _bad(record, number, line, _printable(name), "is not a field of a row")
                if value in WELL_DONE:
                    row[STAGES_DONE] = [*row.get(STAGES_DONE, ()), stage]
                continue
            checked = check(value)
            if checked is not None:
                row[name] = checked
    except Fault as fault:
        return _bad(record, number, line, name, str(fault))
    if "email" not in row:
        return _bad(record, number, line, "email", "is missing")
    return ValidRow(number, line, row)


def validate_defaults(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Check what holds for every row that does not say otherwise. Raises `InputError`."""
    checked: dict[str, Any] = {}
    for name, value in defaults.items():
        check = RULES.get(name)
        if check is None or name in ("email", "connection", "ref"):
            raise InputError(f"{_printable(name)} cannot be given for all rows at once.")
        try:
            result = None if value is None else check(value)
        except Fault as fault:
            raise InputError(f"{name}, given for all rows, {fault}.") from None
        if result is not None:
            checked[name] = result
    return checked


def read_bad(message: str) -> tuple[int | None, int | None, str, str]:
    """Return the number or the line, the column and the reason that the outcome of a bad row tells
    (`BadRow.__str__`, in a sentence); what it does not tell is None or "". Pure.
    """
    told = _TOLD.fullmatch(message)
    if told is None:
        return None, None, "", message
    number, line, text = told.groups()
    column, _, reason = text.partition(" ")
    if column not in FIELDS or not reason:
        column, reason = "", text
    return int(number) if number else None, int(line) if line else None, column, reason


def build_bad_row(record: Mapping[str, Any], number: int, line: int | None, column: str, reason: str) -> BadRow:
    """Return a `BadRow` for a fault found before the fields; echoes what identifies the row."""
    return _bad(record, number, line, column, reason)


def _bad(record: Mapping[str, Any], number: int, line: int | None, column: str, reason: str) -> BadRow:
    email, display_name, ref, connection = (
        value.strip()[:_ECHO] if isinstance(value := record.get(field), str) else ""
        for field in ("email", "display_name", "ref", "connection")
    )
    return BadRow(number, line, column, reason, email, display_name, ref, connection)


def _printable(name: object) -> str:
    text = "".join(character if character.isprintable() else "?" for character in str(name)[:_ECHO])
    return text if len(text) <= 64 else f"{text[:63]}…"
