"""The settings of own mail are made of these values: addresses, a sender, a rate, a mail server.
Pure.

As in `values.py`, a parser takes what a TOML file or an environment variable can hold and raises
ValueError with half a sentence that follows the key in a fault; none repeats the value it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final

from config.values import parse_domain, split_url

DELIVERIES: Final = ("graph", "smtp", "mailbox", "none")
"""Who mails a guest's invitation: Microsoft, one's own mail server, a mailbox, nobody."""
OWN: Final = ("smtp", "mailbox")
"""The deliveries of which usher itself sends the mail."""

SMTP_PORTS: Final = {"smtps": 465, "smtp+starttls": 587}

_LOCAL = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}")
_RATE = re.compile(r"([0-9]{1,6}) ?/ ?min")
_WANTED_RATE = 'must be a number of mails a minute such as "30/min"'


@dataclass(frozen=True, slots=True)
class Rate:
    """How many mails may leave in a minute, written "30/min"."""

    per_minute: int = 30

    @classmethod
    def parse(cls, value: object) -> Rate:
        """Parse `"30/min"`."""
        if isinstance(value, Rate):
            return value
        match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match and int(match[1]) > 0:
            return cls(int(match[1]))
        raise ValueError(_WANTED_RATE)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.per_minute}/min"


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server as `smtp.url` names it. `tls_first`: the connection begins with TLS, rather
    than turning to it by STARTTLS; without either nothing is sent.
    """

    host: str
    port: int
    user: str
    tls_first: bool


def parse_smtp_url(value: object) -> str:
    """Return the URL of a mail server as written, when it can be one; see `read_smtp_url`."""
    read_smtp_url(value)
    assert isinstance(value, str)
    return value


def read_smtp_url(value: object) -> MailServer:
    """Read `smtps://user@host:465` or `smtp+starttls://user@host:587`; user and port may be left
    out.

    The password has a setting of its own: a URL is shown in messages and logs.
    """
    from urllib.parse import unquote

    parts = split_url(value, tuple(SMTP_PORTS))
    if parts.password is not None:
        raise ValueError("must not hold the password: smtp.password refers to it")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after the host and its port")
    return MailServer(
        parts.hostname or "",
        parts.port or SMTP_PORTS[parts.scheme],
        unquote(parts.username or ""),
        parts.scheme == "smtps",
    )


def parse_address(value: object) -> str:
    """Return a plain e-mail address."""
    if isinstance(value, str) and value.isprintable():
        local, at, domain = value.strip().rpartition("@")
        if at and _LOCAL.fullmatch(local):
            try:
                parse_domain(domain)
                return value.strip()
            except ValueError:
                pass
    raise ValueError("must be an e-mail address such as guests@contoso.com")


def parse_sender(value: object) -> str:
    """Return an e-mail address as it was written, with a name before it or without."""
    if isinstance(value, str) and value.isprintable():
        _, address = parseaddr(value)
        try:
            parse_address(address)
            return value.strip()
        except ValueError:
            pass
    raise ValueError('must be an e-mail address, with a name or without, such as "Contoso <guests@contoso.com>"')
