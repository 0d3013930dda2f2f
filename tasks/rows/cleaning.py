"""Cells are freed of what sticks to text copied from a page or a mail: no-break spaces, invisible
marks, `mailto:`, a name.

Only what cannot have been meant is taken away, and an address that is none after all is reported as
it stood. An optional cell that cannot be used is left out, so that it costs no guest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tasks.rows.fields import FIELDS
from tasks.rows.mail_syntax import NotAnAddress, parse_address
from tasks.rows.row import BadRow, ValidRow, validate_record

LEAVABLE: Final = frozenset(FIELDS) - {"email", "send_message", "expires", "connection"}
"""The fields whose cell is left out where it cannot be used. Not `send_message`: it may have meant
no, and a mail cannot be undone. Not `expires`: whoever is let in without an end stays. Not
`connection`: a row without one goes to all.
"""

# No-break spaces become spaces, in every field but the message (French typography wants them
# there). Joiners stay: Persian and Indic names need them. Zero-width spaces, word joiners and byte
# order marks go, and so do marks of writing direction at the ends.
_SPACES: Final = dict.fromkeys(map(ord, "\u00a0\u2007\u202f"), " ")
_NOTHING: Final = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
_TABLE: Final = {**_SPACES, **_NOTHING}
_AT_THE_ENDS: Final = " \t\r\n\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_KEPT: Final = "message"

_IN_BRACKETS: Final = re.compile(
    r"(?P<name>[^<>]*)<\s*(?:mailto:)?(?P<address>[^<>\s]+@[^<>\s]+)\s*>[\s;,]*", re.IGNORECASE
)
_LONGEST: Final = 1_000
_MAILTO: Final = re.compile(r"mailto:(?P<address>[^?\s]+)(?:\?\S*)?", re.IGNORECASE)


def clean_values(values: dict[str, Any]) -> None:
    """Clean a record's texts that are not plain ASCII, in place; drop one that is empty then."""
    for field, value in list(values.items()):
        if type(value) is not str or value.isascii() or field == _KEPT:
            continue
        text = value.translate(_TABLE).strip(_AT_THE_ENDS)
        if text:
            values[field] = text
        else:
            del values[field]


def bare_address(text: str) -> tuple[str, str]:
    """Return the address in `mailto:a@b`, `Ann Lee <a@b>`, `<a@b>` or `a@b;`, and the name beside
    it, "" for none.

    A text of another form is returned as it is.
    """
    text = text.strip().rstrip(";, ")
    if len(text) > _LONGEST:  # far beyond a name and an address; matching what is longer takes its length squared
        return text, ""
    if found := _IN_BRACKETS.fullmatch(text):
        return found["address"], found["name"].strip().strip("\"'").strip()
    if found := _MAILTO.fullmatch(text):
        return found["address"], ""
    return text, ""


def holds_address(cell: str) -> bool:
    """Tell whether a cell is one address and nothing else but what sticks to it."""
    if "@" not in cell:
        return False
    try:
        parse_address(bare_address(cell)[0])
    except NotAnAddress:
        return False
    return True


def look_again(
    row: BadRow,
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    leave_out: Callable[[BadRow], None] | None = None,
) -> ValidRow | BadRow:
    """Return a bad row as it is, or what becomes of it once its addresses are laid bare and its
    useless cells are left out.

    `leave_out` is told of each cell that a good row goes without. Only bad rows come here, so that
    a plain list pays nothing for it.
    """
    row_or_fault, faults = _lay_bare(row, values, defaults), []
    while isinstance(row_or_fault, BadRow) and (column := row_or_fault.column) in LEAVABLE and column in values:
        faults.append(row_or_fault)
        values = {field: value for field, value in values.items() if field != column}
        again = validate_record(values, row.number, row.line, defaults)
        row_or_fault = _lay_bare(again, values, defaults) if isinstance(again, BadRow) else again
    if leave_out is not None and isinstance(row_or_fault, ValidRow):
        for fault in faults:
            leave_out(fault)
    return row_or_fault


def _lay_bare(row: BadRow, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> ValidRow | BadRow:
    if row.column not in ("email", "cc"):
        return row
    found, name = bare_address(email) if type(email := values.get("email")) is str else (None, "")
    copied, _ = bare_address(cc) if type(cc := values.get("cc")) is str else (None, "")
    bare = {field: text for field, text in (("email", found), ("cc", copied)) if text is not None}
    again = validate_record({**values, **bare}, row.number, row.line, defaults)
    if isinstance(again, BadRow):
        return row if again.column == row.column else again
    if name and not {"display_name", "first_name", "last_name"} & again.row.keys():
        named = validate_record({**values, **bare, "display_name": name}, row.number, row.line, defaults)
        return named if isinstance(named, ValidRow) else again
    return again


def compose_name(row: dict[str, Any]) -> None:
    """Give a row without `display_name` one from its first and last name, where it has any."""
    if name := " ".join(part for part in (row.get("first_name"), row.get("last_name")) if part):
        row["display_name"] = name
