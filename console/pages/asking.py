"""What a form on a page asks for becomes the request that the command would make of its options.

The form's fields are kept as text until then: what is wrong with one is told beside the form, which
still holds all of them.
"""

from __future__ import annotations

import json
import ntpath
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO, Any, Final

from config.version import read_version
from console.access.viewer import Viewer
from tasks.errors import InputError
from tasks.lists.guest_list import GuestList
from tasks.lists.options import DELIMITER_NAMES, ListOptions, parse_said
from tasks.rows.named import NAMED, add_named, check_named
from tasks.rows.row import validate_defaults
from tasks.submission.request import Request
from worker.ledger.model import Options
from worker.masking import mask_text

_LONGEST_NAME: Final = 120
_LONGEST: Final = 10_000
FIELDS: Final = (
    *("connection", "groups", "sponsors", "teams", "message", "pilot", "language_tag", "redirect_url"),
    *("send_message", "reason", "resend", "strict", "accept_bad"),
)
MORE_FIELDS: Final = (
    "teams",
    "language_tag",
    "redirect_url",
    "send_message",
    "reason",
    "resend",
    "strict",
    "accept_bad",
)
"""Those that a page folds away."""


@dataclass(frozen=True, slots=True)
class Given:
    """The fields of the form about what is to happen, as they were filled in."""

    connection: str = ""
    groups: str = ""
    sponsors: str = ""
    teams: str = ""
    message: str = ""
    pilot: str = ""
    language_tag: str = ""
    redirect_url: str = ""
    send_message: str = ""
    reason: str = ""
    resend: str = ""
    strict: str = ""
    accept_bad: str = ""

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Given:
        """Take the fields of a form; others are nobody's."""
        return cls(**{name: str(form.get(name) or "").strip()[:_LONGEST] for name in FIELDS})

    @property
    def names_more(self) -> bool:
        """Whether any of `MORE_FIELDS` was filled in."""
        return any(getattr(self, name) for name in MORE_FIELDS)


def clean_name(name: str) -> str:
    """Return what a sent file is called: no folder, nothing that does not print."""
    base = ntpath.basename(name.replace("\0", ""))
    shown = "".join(character if character.isprintable() else "?" for character in base).strip()
    return shown[-_LONGEST_NAME:] or "list"


def read_reading(said: Mapping[str, str]) -> ListOptions:
    """Return how a list is to be read, as a page says it: by `read`, the JSON that an answer
    carries, and by single fields over it. Raises `InputError`.
    """
    try:
        options = parse_said(json.loads(said.get("read") or "{}"))
    except ValueError:
        raise InputError("How the list is to be read is said in a way that usher does not know.") from None
    given: dict[str, Any] = {}
    delimiter = said.get("delimiter", "").strip(" ")
    if delimiter:
        given["delimiter"] = DELIMITER_NAMES.get(delimiter, delimiter)
    given |= {name: text for name in ("encoding", "sheet") if (text := said.get(name, "").strip())}
    if line := said.get("header_line", "").strip():
        if not line.isdecimal() or len(line) > 6:
            raise InputError("The line with the headings is a number, from 1.")
        given["header_line"] = int(line)
    if column := said.get("email_column", ""):
        given["mapping"] = {**options.mapping, "email": column}
    return parse_said(replace(options, **given).to_dict())


def open_upload(file: IO[bytes], name: str, options: ListOptions) -> GuestList:
    """Open a list that was sent, which closes the file. Raises `InputError`, and `Ambiguity`."""
    closing = ExitStack()
    closing.callback(file.close)
    try:
        return GuestList(file, name, path=name, options=options, closing=closing)
    except BaseException:
        closing.close()
        raise


def build_request(viewer: Viewer, given: Given, guests: GuestList) -> Request:
    """Return the request that a form makes of an open list. Raises `InputError` for a field."""
    send_message = {"yes": True, "no": False}.get(given.send_message)
    job_wide = validate_defaults(
        {
            "redirect_url": given.redirect_url or None,
            "message": given.message or None,
            "language": given.language_tag or None,
            "send_message": send_message,
        }
    )
    if given.pilot and not (given.pilot.isdecimal() and 0 < int(given.pilot) < 10**9):
        raise InputError("The pilot is a number of rows, from 1.")
    named = check_named({column: getattr(given, column).split(";") for column in NAMED})
    info: dict[str, Any] = {**viewer.to_info(), "list": guests.name, "usher": read_version()}
    if given.reason:
        info["reason"] = given.reason
    if said := guests.options.to_dict():
        info["read"] = said
    if named:
        info["named"] = {column: [mask_text(name) for name in names] for column, names in named.items()}
    rows = guests.rows()
    return Request(
        connection=given.connection,
        rows=add_named(rows, named) if named else rows,
        name=guests.name,
        options=Options(resend=bool(given.resend), **job_wide),
        info=info,
        pilot=int(given.pilot or 0),
        strict=bool(given.strict),
        named=named,
        guests=guests,
        accept_bad=bool(given.accept_bad),
    )
