"""The Entra admin center has bulk templates: the one for invitations is read as downloaded and
filled in, the others are refused.

Their first line is `version:v1.0`, its headings carry a fixed name in brackets behind words in the
admin's language, and a row with an example stands below them, which many people leave in.
https://learn.microsoft.com/entra/external-id/tutorial-bulk-invite
https://learn.microsoft.com/entra/identity/users/users-bulk-add
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

# the first that is found counts: the template for creating users has names to sign in with, too
_OTHER_TEMPLATES: Final = (
    ("passwordprofile", "creating users", "it names the tenant's own people, whom an invitation would make guests"),
    ("memberobjectidorupn", "members of a group", "it names users that are in the tenant already"),
    ("objectid", "restoring users", "it names users by their ids"),
    ("userprincipalname", "deleting users", "it names users to be deleted, not guests to be invited"),
)
_VERSION: Final = re.compile(r"\s*version\s*:", re.IGNORECASE)
_BRACKETS: Final = re.compile(r"\[\s*(\w+)\s*\]")
_EXAMPLE: Final = re.compile(
    r"\s*(?:example|beispiel|exemple|ejemplo|esempio|exemplo|voorbeeld|przyk[lł]ad|exempel|eksempel|例)\s*[:：]",
    re.IGNORECASE,
)


def is_version_line(cells: Sequence[str]) -> bool:
    """Tell whether this is the `version:v1.0` line above the template's headings (spreadsheets add
    empty cells to it).
    """
    return bool(cells) and bool(_VERSION.match(cells[0])) and not any(cells[1:])


def template_name(heading: str) -> str | None:
    """Return the name in brackets in lower case, `inviteeemail`; None for a heading without."""
    found = _BRACKETS.search(heading)
    return found[1].lower() if found else None


def explain_other_template(cells: Sequence[str]) -> str:
    """Return what these headings are and why they are no list of guests, where they are another
    template's; else "".
    """
    names = {name.lower() for cell in cells for name in _BRACKETS.findall(cell)}
    if names & TEMPLATE_COLUMNS.keys():
        return ""
    for name, purpose, why in _OTHER_TEMPLATES:
        if name in names:
            return (
                f"is the admin center's template for {purpose}: {why}. Nothing was read; take the template of “Bulk"
                " invite”, or a list with a column called email."
            )
    return ""


def is_example(email: str) -> bool:
    """Tell whether an e-mail cell is the template's example, `Example: chris@contoso.com`: no
    address holds a colon there.
    """
    return bool(_EXAMPLE.match(email))
