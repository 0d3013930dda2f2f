"""A letter that arrived: by SMTP, through sendMail, or as Entra's own invitation.

What a person and a test see of it is the same for all three.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Literal

Via = Literal["invitation", "sendMail", "smtp"]


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter, whoever gets it. `headers` are those of a message as it came, in their order."""

    via: Via
    sender: str
    subject: str = ""
    text: str = ""
    html: str = ""
    cc: tuple[str, ...] = ()
    reply_to: str = ""
    message_id: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def show(self) -> dict[str, object]:
        """Return it as JSON."""
        return {
            "via": self.via,
            "from": self.sender,
            "cc": list(self.cc),
            "reply_to": self.reply_to,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "message_id": self.message_id,
            "headers": [list(header) for header in self.headers],
        }


def read_letter(content: bytes, sender: str) -> Letter:
    """Read a message as SMTP brings it; what cannot be decoded is replaced, never refused."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    headers = tuple((name, str(value)) for name, value in message.items())
    first = {name.lower(): value for name, value in reversed(headers)}
    return Letter(
        via="smtp",
        sender=parseaddr(first.get("from", ""))[1] or sender,
        subject=first.get("subject", ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        cc=tuple(parseaddr(address)[1] for address in first.get("cc", "").split(",") if address.strip()),
        reply_to=parseaddr(first.get("reply-to", ""))[1],
        message_id=first.get("message-id", ""),
        headers=headers,
    )


def _part(message: EmailMessage, kind: str) -> str:
    for part in message.walk():
        if part.get_content_type() == f"text/{kind}" and not part.is_attachment():
            payload = part.get_payload(decode=True)
            return _decode(payload, part.get_content_charset("utf-8")) if isinstance(payload, bytes) else ""
    return ""


def _decode(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset, "replace")
    except LookupError:  # no such charset
        return payload.decode("utf-8", "replace")
