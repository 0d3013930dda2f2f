"""A text is one e-mail address, or is told in plain words why it is none; by email-validator,
without DNS.

Reserved names that appear in every rehearsal (`.test`, `.example`) are accepted. Characters that
Graph's page lists as not permitted, `+` among them, are left to Graph: whether it enforces the list
is not known.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LENGTH: Final = 254
"""Characters in an address: RFC 5321 4.5.3.1.3 less the angle brackets."""

# Strictly fewer addresses than the library accepts, told apart 30 times faster; whatever does not
# match is asked of the library. The limit of 64 characters for the whole keeps every label under
# its 63, and single hyphens keep `xn--` out.
_PLAIN_LIMIT: Final = 64
_PLAIN: Final = re.compile(
    r"[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*"
    r"@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion)\Z)[A-Za-z]{2,}",
    re.ASCII | re.IGNORECASE,
)
_DOTS: Final = ".\u3002\uff0e\uff61"  # what IDNA reads as a dot

# The library's sentences, by a fragment, as the end of "is not an e-mail address: …". Without a
# match its own words are kept.
_REASONS: Final = (
    ("special-use or reserved", "its domain is a reserved name that gets no mail"),
    ("within a valid top-level domain", "its domain does not end in a top-level domain"),
    ("two periods in a row", "it has two dots in a row"),
    ("immediately before the @-sign", "the part before the @ ends with a dot"),
    ("cannot start with a period", "it starts with a dot"),
    ("cannot end with a period", "it ends with a dot"),
    ("immediately after the @-sign", "its domain begins with a dot or a hyphen"),
    ("cannot end with a hyphen", "it ends with a hyphen"),
    ("a period and a hyphen next to each other", "its domain has a dot and a hyphen side by side"),
    ("separated by so many characters", "a part of its domain is longer than 63 characters"),
    ("too long", "it is too long"),
    ("bracketed IP address", "it has an IP address in place of a domain"),
    ("Quoting the part", "the part before the @ is in quotation marks"),
)


class NotAnAddress(ValueError):
    """A text is not one e-mail address; `str()` is the end of a sentence: "is not an e-mail
    address: it has no @".
    """


def parse_address(text: str) -> str:
    """Return the address, spelled as it was given but in NFC; raises `NotAnAddress` with the
    reason.

    Wants a text without surrounding blanks. Asks no name server: whether the domain exists is not
    looked at.
    """
    if len(text) <= _PLAIN_LIMIT and _PLAIN.fullmatch(text):
        return text
    if (slip := _common_slip(text)) is not None:
        raise NotAnAddress(f"is not an e-mail address: {slip}")
    import email_validator  # 40 ms, and a plain list never gets here

    try:
        address = email_validator.validate_email(text, check_deliverability=False, test_environment=True)
    except ValueError as error:  # EmailNotValidError, and whatever idna raises by itself
        raise NotAnAddress(f"is not an e-mail address: {_plain_words(str(error))}") from None
    return text if text.isascii() else address.normalized


def _common_slip(text: str) -> str | None:
    """Name what people get wrong most, in fewer words than the library would."""
    local, at, domain = text.partition("@")
    if not at:
        return "it has no @"
    if len(text) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if "@" in domain:
        return "it has more than one @"
    if "<" in text or ">" in text:
        return "write the address alone, without a name or < >"
    if any(character.isspace() for character in text):
        return "it contains a space"
    if not local:
        return "nothing stands before the @"
    if not domain:
        return "nothing stands after the @"
    if not any(dot in domain for dot in _DOTS):
        return "the domain has no dot"
    return None


def _plain_words(sentence: str) -> str:
    for fragment, words in _REASONS:
        if fragment in sentence:
            return words
    words = sentence.rstrip(".")
    for theirs, ours in (("The email address", "it"), ("The part after the @-sign", "its domain"), ("@-sign", "@")):
        words = words.replace(theirs, ours)
    return words[:1].lower() + words[1:]
