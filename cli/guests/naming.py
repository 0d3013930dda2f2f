"""A person is named by an e-mail address or by Microsoft's object id."""

from __future__ import annotations

from config.values import is_guid
from tasks.errors import Refusal


def read_who(who: str) -> tuple[str, str]:
    """Return the address and the id that were given, one of them ''. Raises `Refusal`."""
    wanted = who.strip()
    if is_guid(wanted):
        return "", wanted.lower()
    if "@" not in wanted:
        raise Refusal("Give an e-mail address, or an object id such as 11111111-2222-3333-4444-555555555555.")
    return wanted, ""
