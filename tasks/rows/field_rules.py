"""Each field of a row has a rule: what it may hold, and the form in which it is kept.

A rule takes text, or what JSON has in its place, and trims it. Its reasons complete "column …" and
never repeat the cell: a misplaced column would put addresses into logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from tasks.rows.dates import NotADate, parse_date
from tasks.rows.languages import parse_language
from tasks.rows.mail_syntax import NotAnAddress, parse_address
from tasks.rows.named_targets import split_targets

MAX_DISPLAY_NAME: Final = 256  # displayName of a user: https://learn.microsoft.com/graph/api/resources/user
MAX_NAME_PART: Final = 64  # givenName and surname: same page
MAX_COMPANY: Final = 64  # companyName, department, jobTitle and mobilePhone: same page
MAX_DEPARTMENT: Final = 64
MAX_JOB_TITLE: Final = 128
MAX_PHONE: Final = 64
MAX_MESSAGE: Final = 5_000  # no number is documented for customizedMessageBody; a letter, not a book
MAX_URL: Final = 2_048  # what browsers and mail programs carry without cutting
MAX_REF: Final = 64
MAX_SPONSORS: Final = 5  # https://learn.microsoft.com/entra/external-id/b2b-sponsors
MAX_GROUPS: Final = 100  # keeps a row small; nobody is added to more by a list
MAX_TEAMS: Final = 100
MAX_REFERENCE: Final = 256  # displayName of a group: https://learn.microsoft.com/graph/api/resources/group

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # tab and line feed stay
_NOT_IN_URL: Final = re.compile(r"[\s\x00-\x20\x7f-\x9f\\<>\"\ud800-\udfff]")
_PHONE: Final = re.compile(r"[\d\s+()./*#-]*\d[\d\s+()./*#-]*(?:(?:ext|x)\.?\s?\d+)?", re.IGNORECASE | re.ASCII)
_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_USER_TYPES: Final = {"guest": "Guest", "member": "Member"}


class Fault(ValueError):
    """One field is wrong; `str()` completes "column …"."""


def _text(value: object) -> str:
    if type(value) is not str:
        raise Fault("must be text")
    return value.strip()


def _check_address(value: object) -> str | None:
    text = _text(value)
    if not text:
        return None
    try:
        return parse_address(text)
    except NotAnAddress as error:
        raise Fault(str(error)) from None


def _check_cc(value: object) -> str | None:
    # Graph documents one recipient; what it does with a second is not known, so a second is refused
    # here.
    if isinstance(value, list):
        if len(value) > 1:
            _too_many_cc()
        return _check_address(value[0]) if value else None
    text = _text(value)
    if text.count("@") > 1 and re.search(r"[;,\s]", text):
        _too_many_cc()
    return _check_address(text)


def _too_many_cc() -> NoReturn:
    raise Fault("holds more than one address; Graph takes one")


def _line_of_text(limit: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        text = _text(value)
        if len(text) > limit:
            raise Fault(f"is longer than {limit} characters")
        if not text.isprintable() and _CONTROL.search(
            text
        ):  # the first test is ten times faster and nearly always enough
            raise Fault("contains a line break or another control character")
        return text or None

    return check


def _check_message(value: object) -> str | None:
    text = _text(value).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_MESSAGE:
        raise Fault(f"is longer than {MAX_MESSAGE} characters")
    if not text.isprintable() and _CONTROL_BUT_LINES.search(text):
        raise Fault("contains a control character")
    return text or None


def _check_redirect_url(value: object) -> str | None:
    text = _text(value)
    if not text:
        return None
    if (fault := _fault_of_url(text)) is not None:
        raise Fault(fault)
    return text


@lru_cache(maxsize=4096)
def _fault_of_url(text: str) -> str | None:
    if len(text) > MAX_URL:
        return f"is longer than {MAX_URL} characters"
    if _NOT_IN_URL.search(text):
        return "contains a space or a character that no web address has"
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port  # the port is read because that is where a bad one raises
    except ValueError:
        return "is not a web address"
    if url.scheme not in ("http", "https"):
        return "is not a full web address: it must begin with https:// or http://"
    if not host or not host.strip("."):
        return "is not a full web address: it names no host"
    return None


def _check_language(value: object) -> str | None:
    text = _text(value)
    if not text:
        return None
    tag = parse_language(text)
    if tag is None:
        raise Fault("is not a known language tag, such as de or pt-BR")
    return tag


def _check_boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        value = str(value) if value in (0, 1) else "?"
    if not isinstance(value, str):
        raise Fault("must be true or false")
    text = value.strip().lower()
    if not text:
        return None
    if text not in _BOOLEANS:
        raise Fault("must be true or false (yes, no, 1 and 0 do as well)")
    return _BOOLEANS[text]


def _check_user_type(value: object) -> str | None:
    text = _text(value)
    if not text:
        return None
    if text.lower() not in _USER_TYPES:
        raise Fault("must be Guest or Member")
    return _USER_TYPES[text.lower()]


def _check_phone(value: object) -> str | None:
    if isinstance(value, list):  # Graph's own businessPhones, which takes one
        if len(value) > 1:
            raise Fault("holds more than one number; Graph takes one")
        value = value[0] if value else ""
    text = _text(value)
    if len(text) > MAX_PHONE:
        raise Fault(f"is longer than {MAX_PHONE} characters")
    if text and not _PHONE.fullmatch(text):
        raise Fault("is not a telephone number")
    return text or None


def _check_usage_location(value: object) -> str | None:
    text = _text(value)
    if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise Fault("must be the two letters of a country, such as NO")
    return text.upper() or None


def _check_expires(value: object) -> str | None:
    text = _text(value)
    try:
        return parse_date(text) if text else None
    except NotADate as error:
        raise Fault(str(error)) from None


def _references(limit: int) -> Callable[[object], list[str] | None]:
    def check(value: object) -> list[str] | None:
        if isinstance(value, str):
            parts: list[object] = [*split_targets(value)]
        elif isinstance(value, (list, tuple)):
            parts = list(value)
        else:
            raise Fault("must be a list of texts")
        named = list(dict.fromkeys(text for part in parts if (text := _text(part))))
        if len(named) > limit:
            raise Fault(f"names {len(named)}, and at most {limit} are possible")
        for text in named:
            if len(text) > MAX_REFERENCE:
                raise Fault(f"holds an entry longer than {MAX_REFERENCE} characters")
            if _CONTROL.search(text):
                raise Fault("must hold object ids, addresses or names, separated by semicolons")
        return named or None

    return check


RULES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "email": _check_address,
    "display_name": _line_of_text(MAX_DISPLAY_NAME),
    "first_name": _line_of_text(MAX_NAME_PART),
    "last_name": _line_of_text(MAX_NAME_PART),
    "redirect_url": _check_redirect_url,
    "message": _check_message,
    "language": _check_language,
    "cc": _check_cc,
    "send_message": _check_boolean,
    "user_type": _check_user_type,
    "company": _line_of_text(MAX_COMPANY),
    "department": _line_of_text(MAX_DEPARTMENT),
    "job_title": _line_of_text(MAX_JOB_TITLE),
    "usage_location": _check_usage_location,
    "phone": _check_phone,
    "expires": _check_expires,
    "sponsors": _references(MAX_SPONSORS),
    "groups": _references(MAX_GROUPS),
    "teams": _references(MAX_TEAMS),
    "new_email": _check_address,
    "connection": _line_of_text(MAX_REF),
    "ref": _line_of_text(MAX_REF),
}
"""For each field (`fields.FIELDS`) the function that returns its value, None when nothing was
given, or raises `Fault`.
"""
