"""Cells that a spreadsheet would run as a formula, made harmless in a way that can be undone exactly.

A display name such as `=HYPERLINK("https://…")` came from outside, and a results file is opened with a double click. An apostrophe in
front is how spreadsheets themselves mark text. `Ann;=HYPERLINK(…)` is one cell of a list with commas and two of it where Excel splits at
semicolons, as it does in half of Europe, whatever quotation marks say: so a cell is looked at behind every separator in it, too.

To stay invertible, a text that already looks escaped gets one more: `escape` adds an apostrophe wherever something matches, `unescape`
takes one from wherever something matches and has one. Which places match does not change with the apostrophes, because they are
passed over.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from typing import Final

# What is passed over, because some programs trim a cell before they look at it, and then a sign that begins a formula; the second
# group of signs is the full-width one of East Asian keyboards. A tab or a line end in front counts by itself.
_SIGNS: Final = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_BEGINS: Final = rf"\A(?=['\s]*[\t\r\n{_SIGNS}])|(?<=[;,\t\r\n])(?=['\"\s]*[{_SIGNS}])"
_PLACE: Final = re.compile(_BEGINS)
_ESCAPED: Final = re.compile(rf"(?:{_BEGINS})'")
_NUMBER: Final = re.compile(r"\s*[+\-][\d\s().,/\-]*")
_PART: Final = re.compile(r"[^;,\t\r\n]*")


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe wherever a spreadsheet could take what follows for a formula."""
    return _PLACE.sub("'", text)


def unescape_cell(cell: str) -> str:
    """Undo `escape_cell`; a cell it never changed, `O'Neill` or `'quoted'`, is returned as it is."""
    return _ESCAPED.sub("", cell)


def escape_own_cell(text: str) -> str:
    """Return a cell of somebody's own list, escaped where a spreadsheet would run it.

    A telephone number, a negative number or a dash begins like a formula, too, and is none; a place that is escaped stays as it is, and
    so does an empty cell, or an empty line would be a guest's.
    """
    if not text.strip() or _NUMBER.fullmatch(text):
        return text
    return _PLACE.sub(lambda place: "" if _is_harmless(text, place.start()) else "'", text)


def _is_harmless(text: str, at: int) -> bool:
    if text[at : at + 1] == "'":
        return True
    part = _PART.match(text, at)
    return part is not None and _NUMBER.fullmatch(part[0]) is not None
