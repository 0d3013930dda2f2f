"""Two spellings are one address by these rules: NFC, lower case, IDNA domain; no dots removed, no
plus removed.

Providers differ in whether `a.b` is `ab` and whether `a+x` is `a`; Entra treats them as different,
so do we.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from config.values import fold_domain


def fold_address(email: str) -> str:
    """Return the form in which two spellings of one address are equal.

    Total: a text that is no address at all is still folded (lower case, NFC), so that it can be
    compared.
    """
    if email.isascii():  # nearly every address; the slow path below would give the same answer
        return email.lower()
    local, at, domain = unicodedata.normalize("NFC", email).rpartition("@")
    return f"{unicodedata.normalize('NFC', local.lower())}{at}{fold_domain(domain)}"


def guest_of(row: Mapping[str, Any]) -> str:
    """Return by what a row's guest is looked up and told from others: the object id, where the row
    has one, else the folded address, or the id in its place.
    """
    user_id = row.get("user_id")
    return str(user_id).lower() if user_id else fold_address(row["email"])


def spellings(folded: str) -> tuple[str, ...]:
    """Return the ways in which a directory may keep a folded address: itself, and an international
    domain in its own letters too.

    Which of both Entra keeps is not documented, nor that it takes one for the other.
    """
    if "xn--" not in folded:  # nearly every address
        return (folded,)
    local, at, domain = folded.rpartition("@")
    import idna  # 20 ms of tables that an ASCII name never needs

    try:
        shown = idna.decode(domain)
    except idna.IDNAError:
        return (folded,)
    return (folded, f"{local}{at}{shown}") if shown != domain else (folded,)
