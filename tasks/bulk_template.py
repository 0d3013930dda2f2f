"""The Entra admin center's bulk-invite template, read as it is downloaded and filled in.

Its first line is `version:v1.0`, its headings carry a fixed name in brackets behind words in the admin's language, and a
row with an example stands below them, which many people leave in.
https://learn.microsoft.com/entra/external-id/tutorial-bulk-invite
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

TEMPLATE_COLUMNS: Final = {
    "inviteeemail": "email",
    "inviteredirecturl": "redirect_url",
    "sendemail": "send_message",
    "customizedmessagebody": "message",
}
"""The template's bracketed names, in lower case, and the fields they stand for."""

_VERSION: Final = re.compile(r"\s*version\s*:", re.IGNORECASE)
_BRACKETS: Final = re.compile(r"\[\s*(\w+)\s*\]")
_EXAMPLE: Final = re.compile(r"\s*(?:example|beispiel|exemple|ejemplo|esempio|exemplo|voorbeeld)\s*:", re.IGNORECASE)


def is_version_line(cells: Sequence[str]) -> bool:
    """Tell whether this is the `version:v1.0` line above the template's headings (spreadsheets add empty cells to it)."""
    return bool(cells) and bool(_VERSION.match(cells[0])) and not any(cells[1:])


def template_name(heading: str) -> str | None:
    """Return the name in brackets in lower case, `inviteeemail`, or None for a heading without one."""
    found = _BRACKETS.search(heading)
    return found[1].lower() if found else None


def is_example(email: str) -> bool:
    """Tell whether an e-mail cell is the template's example, `Example: chris@contoso.com`: no address holds a colon there."""
    return bool(_EXAMPLE.match(email))
