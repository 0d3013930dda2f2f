"""Cells that a spreadsheet would run as a formula, made harmless in a way that can be undone exactly.

A display name such as `=HYPERLINK("https://…")` came from outside, and a results file is opened with a double click. An
apostrophe in front is how spreadsheets themselves mark text. To stay invertible, a text that already looks escaped gets one
more: `escape` adds an apostrophe to whatever matches, `unescape` takes one from whatever matches and has one.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from typing import Final

# Apostrophes are part of the pattern so that `'=1` and `''=1` stay apart. Blanks may stand before the sign, because some
# programs trim a cell before they look at it. The second group of signs is the full-width one of East Asian keyboards.
_FORMULA: Final = re.compile(r"'*\s*[\t\r\n=+\-@\uff1d\uff0b\uff0d\uff20]")


_NUMBER: Final = re.compile(r"\s*[+\-][\d\s().,/\-]*")


def escape_cell(text: str) -> str:
    """Return the text with one apostrophe in front where a spreadsheet could take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(cell: str) -> str:
    """Undo `escape_cell`; a cell it never changed, `O'Neill` or `'quoted'`, is returned as it is."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def escape_own_cell(text: str) -> str:
    """Return a cell of somebody's own list, escaped where a spreadsheet would run it.

    A telephone number, a negative number or a dash begins like a formula, too, and is none; a cell that is escaped stays as it is, and
    so does an empty one, or an empty line would be a guest's.
    """
    if text[:1] == "'" or not text.strip() or _NUMBER.fullmatch(text):
        return text
    return escape_cell(text)
