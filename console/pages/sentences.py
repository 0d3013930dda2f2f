"""The sentences that usher says most often of rows are said in the reader's language; all others
stay as they are, and are marked as English.

A sentence of usher's own is made in `tasks` and `worker`, in English. Here stands its pattern,
which is the catalogue's key: what it names (`%(row)s`) is taken over, and translated where it is
such a sentence itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from console.pages.wordings import N_, as_fields

PATTERNS: Final = (
    # how a list was read
    N_("CSV with commas"),
    N_("CSV with semicolons"),
    N_("CSV with tabs"),
    N_("CSV with vertical bars"),
    N_("Excel sheet %(name)s"),
    N_("headings in line %(line)s"),
    N_("headings in row %(line)s"),
    N_("Ignored column: %(names)s."),
    N_("Ignored columns: %(names)s."),
    # what is wrong with a cell
    N_("is missing"),
    N_("is not an e-mail address: %(why)s"),
    N_("it has no @"),
    N_("it has more than one @"),
    N_("it contains a space"),
    N_("nothing stands before the @"),
    N_("nothing stands after the @"),
    N_("the domain has no dot"),
    N_("write the address alone, without a name or < >"),
    N_("it has two dots in a row"),
    N_("it starts with a dot"),
    N_("it ends with a dot"),
    N_("it is too long"),
    N_("its domain does not end in a top-level domain"),
    N_("its domain is a reserved name that gets no mail"),
    N_("holds more than one address; Graph takes one"),
    N_("contains a control character"),
    N_("contains a line break or another control character"),
    N_("is not a known language tag, such as de or pt-BR"),
    N_("must be true or false (yes, no, 1 and 0 do as well)"),
    N_("must be Guest or Member"),
    N_("is not a telephone number"),
    N_("must be the two letters of a country, such as NO"),
    N_("is longer than %(count)s characters"),
    N_("names a connection that is not among those chosen"),
    N_("names another connection than was chosen"),
    # what becomes of a row
    N_("Not sent: line %(line)s: %(column)s %(why)s."),
    N_("Cannot be sent (each is told with its line)."),
    N_("The same address as row %(row)s, which is the one that counts."),
    N_("The same address as an earlier row."),
    N_("Already a guest of this tenant; nothing was sent. %(more)s"),
    N_("The guest has accepted; Microsoft mails no invitation after that, not with --resend either."),
    N_("The guest has not accepted yet: to mail the invitation again, submit the row with --resend."),
    N_(
        "To mail the invitation again, submit the row with --resend; Microsoft mails it only to a guest who has not"
        " accepted."
    ),
    N_("A job invited them lately; --resend mails again whoever of them has not accepted."),
    N_("Not sent: the settings of connection %(name)s do not allow this domain."),
    N_("The domain is not allowed, by the connection's settings or the tenant's."),
    N_("Not done: this guest was not invited."),
    N_("waits until the directory knows the guest"),
)
_NAMED: Final = re.compile(r"%\((\w+)\)s")
_LONGEST: Final = 1000


def translate(sentence: str, gettext: Callable[[str], str]) -> tuple[str, bool]:
    """Return a sentence in the language of `gettext` and True; as it is and False where it is none
    of ours, or the language is its own.
    """
    said = _translated(sentence, gettext) if len(sentence) <= _LONGEST else None
    return (as_fields(said), True) if said is not None else (as_fields(sentence), False)


def _translated(sentence: str, gettext: Callable[[str], str]) -> str | None:
    for key, pattern in _patterns():
        if (found := pattern.fullmatch(sentence)) is None or (said := gettext(key)) == key:
            continue
        return said % {name: _translated(text, gettext) or text for name, text in found.groupdict().items()}
    return None


@lru_cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return the keys with what finds them."""
    made = []
    for key in PATTERNS:
        parts = _NAMED.split(key)
        text = "".join(f"(?P<{part}>.+?)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        made.append((key, re.compile(text, re.DOTALL)))
    return made
