"""A mail becomes a message: MIME for a mail server, JSON for a mailbox of the tenant. Pure.

What comes from rows and templates cannot make a header or a recipient of its own: the library folds
and encodes, and refuses a line break. A message says that a program wrote it (RFC 3834), so that
nobody's absence note answers it, and how to be left alone (RFC 2369). Its Message-ID follows from
the row: one mail that is sent twice after all is one message to whoever reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from typing import Any, Final

from config.values import fold_domain
from worker.errors import MailUnusable
from worker.mail.templates import Words

WORDED: Final = ("first_name", "last_name", "company", "department", "job_title", "ref")
"""Columns of a row that templates may name besides."""


@dataclass(frozen=True, slots=True, repr=False)
class MailRequest:
    """A mail to one guest. Without a repr: it holds address and link."""

    id: str
    kind: str  # of its templates
    to: str
    link: str
    language: str = ""
    name: str = ""
    cc: str = ""
    message: str = ""  # why the guest is invited
    more: Mapping[str, str] = field(default_factory=dict)  # what a template may name besides
    key: str = ""  # the same for the same mail of the same row


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one guest, and whom a copy goes to."""

    sender: str  # "Contoso <guests@contoso.com>", or an address alone
    to: str = field(repr=False)
    words: Words
    to_name: str = field(default="", repr=False)
    cc: str = field(default="", repr=False)
    reply_to: str = ""
    language: str = ""
    key: str = ""  # the same for the same mail of the same row


@dataclass(frozen=True, slots=True, repr=False)
class Envelope:
    """What a mail server is told: the sender, the recipients (the guest first), the message."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    is_utf8: bool  # a local part is not ASCII: the server must know RFC 6531


def build_envelope(mail: Mail, at: datetime) -> Envelope:
    """Return a mail as a mail server takes it. Raises `MailUnusable` for what cannot be one."""
    recipients = tuple(_plain(address) for address in (mail.to, mail.cc) if address)
    sender = _plain(address_of(mail.sender))
    is_utf8 = not "".join((sender, *recipients)).isascii()
    message = EmailMessage(policy=SMTPUTF8 if is_utf8 else SMTP)
    answers = mail.reply_to or mail.sender
    try:
        message["From"] = _address(*parseaddr(mail.sender))
        message["To"] = _address(mail.to_name, mail.to)
        if mail.cc:
            message["Cc"] = _address("", mail.cc)
        if mail.reply_to:
            message["Reply-To"] = _address(*parseaddr(mail.reply_to))
        message["Subject"] = mail.words.subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{_digest(mail.key)}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message["List-Unsubscribe"] = f"<mailto:{_plain(address_of(answers))}?subject=unsubscribe>"
        message.set_content(mail.words.text, cte="quoted-printable")
        if mail.words.html:
            message.add_alternative(mail.words.html, subtype="html", cte="quoted-printable")
        if mail.language:
            message["Content-Language"] = mail.language
        return Envelope(sender, recipients, message.as_bytes(), is_utf8)
    except (ValueError, MessageError, LookupError):
        pass  # the fault may quote an address
    raise MailUnusable(
        "The mail to this guest cannot be written: the address is none that mail knows. Correct it and submit the row"
        " again.",
        is_template=False,
    )


def build_graph_message(mail: Mail) -> dict[str, Any]:
    """Return the body of `POST /users/{mailbox}/sendMail`.

    Graph takes one body and no headers of ours but such as begin with `x-`; the sender is the
    mailbox. No copy is kept in it: it would hold the link.
    https://learn.microsoft.com/graph/api/user-sendmail
    """
    words = mail.words
    message: dict[str, Any] = {
        "subject": words.subject,
        "body": {"contentType": "HTML" if words.html else "Text", "content": words.html or words.text},
        "toRecipients": [_recipient(mail.to, mail.to_name)],
    }
    if mail.cc:
        message["ccRecipients"] = [_recipient(mail.cc)]
    if mail.reply_to:
        name, address = parseaddr(mail.reply_to)
        message["replyTo"] = [_recipient(address, name)]
    return {"message": message, "saveToSentItems": False}


def address_of(sender: str) -> str:
    """Return the address of a sender, without the name."""
    return parseaddr(sender)[1]


def organisation_of(sender: str) -> str:
    """Return who a mail is from: the sender's name, else the domain."""
    name, address = parseaddr(sender)
    return name or address.rpartition("@")[2]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _address(name: str, address: str) -> Address:
    local, _, domain = _plain(address).rpartition("@")
    if local.isascii():
        return Address(_shown(name), addr_spec=f"{local}@{domain}")
    if not local.isprintable() or set(local) & _SPECIAL:  # RFC 6531 lets the rest be
        raise ValueError
    return Address(_shown(name), username=local, domain=domain)


def _shown(name: str) -> str:
    """Return a name as one short line."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:100]


_SPECIAL = frozenset(' "(),:;<>@[\\]')


def _plain(address: str) -> str:
    """Return an address with its domain as the wire has it."""
    local, _, domain = address.strip().rpartition("@")
    return f"{local}@{fold_domain(domain)}"


def _recipient(address: str, name: str = "") -> dict[str, Any]:
    shown = _shown(name)
    return {"emailAddress": {"address": address, **({"name": shown} if shown else {})}}
