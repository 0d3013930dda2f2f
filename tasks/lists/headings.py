"""A heading is reduced to its letters and digits (`heading_key`), and what it can mean by itself is
looked up.

Headings that mean different things in different lists ("Name") stand apart; `columns` decides about
them by what stands beside them. The words are in `heading_words`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tasks.lists.heading_words import FURTHER, GIVEN_NAMES, NAMES, REMARKS, SIGN_IN_NAMES, WHICH, WORDS
from tasks.rows.fields import FIELDS

MAIL: Final = "mail"
"""An address in Graph and in German lists; beside a plain `email` it is something else (usher's own
results have both).
"""

_LONGEST: Final = 300  # characters of a heading that are looked at; none that means something has more
_LIKE_EMAIL: Final = re.compile(r"mail|courriel|correo|epost|mejl|メール|upn$")


def heading_key(heading: str) -> str:
    """Return a heading's letters and digits, folded: without case, blanks, signs, accents."""
    return _REMARK.sub("", _fold(heading))


def _fold(text: str) -> str:
    if text.isascii() and text.isalnum():
        return text[:_LONGEST].lower()
    folded = unicodedata.normalize("NFKD", text[:_LONGEST].casefold())
    return "".join(character for character in folded if character.isalnum())


def _keys(words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_fold(word) for line in words.splitlines() for word in line.split(",") if word.strip()))


def _any_of(*keys: str) -> str:
    return "|".join(sorted(set(keys), key=len, reverse=True))


FIELD_OF: Final = {
    **{field.replace("_", ""): field for field in FIELDS},
    **{key: field for field, words in WORDS.items() for key in _keys(words)},
}
"""A heading's key → the field that it can only mean."""
SIGN_IN_KEYS: Final = frozenset(_keys(SIGN_IN_NAMES))
"""The keys of names to sign in with."""
GIVEN_NAME_KEYS: Final = frozenset(_keys(GIVEN_NAMES))
"""The keys of a whole name that is the first name beside a last one."""
NAME_KEYS: Final = GIVEN_NAME_KEYS | set(_keys(NAMES))
"""The keys of a whole name that may be a part of one."""

_EMAIL: Final = _any_of(*_keys(WORDS["email"]), MAIL)
_AROUND: Final = _any_of(*_keys(WHICH), *_keys(FURTHER))
_QUALIFIED: Final = re.compile(rf"(?:{_AROUND})*(?:{_EMAIL})(?:{_AROUND}|\d{{1,2}})*")
_IS_FURTHER: Final = re.compile(rf"{_any_of(*_keys(FURTHER))}|\d")
# "Email 1", Google's "E-mail 1 - Value", Outlook's "E-mail 2 Address"
_NUMBERED: Final = re.compile(rf"(?:{_EMAIL})(\d{{1,2}})(?:value|address|adresse|adres|adress)?")
_REMARK: Final = re.compile(rf"(?<=.)(?:{_any_of(*_keys(REMARKS))})$")


def rank_of_email(key: str) -> int | None:
    """Return how surely a key is the address's, 0 being the surest, or None.

    0 a word for e-mail; 1 `mail`; 2 such a word with another that says which ("E-Mail privat",
    "Work Email", "Email 1"); 3 a further one ("Email 2", "Alternate email"); 4 a name to sign in
    with.
    """
    if FIELD_OF.get(key) == "email":
        return 0
    if key == MAIL:
        return 1
    if key in FIELD_OF:
        return None
    if numbered := _NUMBERED.fullmatch(key):
        return 2 if int(numbered[1]) == 1 else 3
    if _QUALIFIED.fullmatch(key):
        return 3 if _IS_FURTHER.search(key) else 2
    return 4 if key in SIGN_IN_KEYS else None


def is_like_email(key: str) -> bool:
    """Tell whether a heading might be the address's, though not by itself."""
    return _LIKE_EMAIL.search(key) is not None
