"""A mail of one's own is shown before anybody gets it, or sent to one address to see whether the
way works. Neither invites anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.ledger.model import Options
from worker.mail.mailroom import compose, sender_of
from worker.mail.message import Mail, build_envelope
from worker.operations.mail import write_mail
from worker.operations.mail_rules import judge_mail
from worker.operations.operation import Asked

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.graph.causes import Verdict
    from worker.services import Services

SAMPLE_LINK = "https://login.microsoftonline.com/redeem?rd=SAMPLE"
"""Stands where a guest's own link would."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A mail as it would leave: for the eye, and whole."""

    mail: Mail
    content: bytes  # as a mail program opens it (.eml)


def is_ready(settings: Settings, connection: Connection) -> bool:
    """Whether it is known who a connection's mails are from."""
    return bool(sender_of(settings, connection))


def preview(settings: Settings, connection: Connection, row: dict[str, Any], language: str = "") -> Preview:
    """Return the invitation that a row's guest would get. Raises `MailUnusable`."""
    request = write_mail(_asked(row, language, SAMPLE_LINK), connection, Options())
    mail = compose(settings, connection, request)
    return Preview(mail, build_envelope(mail, datetime.now(UTC)).content)


async def send_test(services: Services, connection: Connection, address: str, language: str = "") -> Verdict:
    """Mail an address as if it were a guest's, with a link that only leads to the landing page.
    Raises `TokenError` for a mailbox.
    """
    request = write_mail(_asked({"email": address}, language, ""), connection, Options())
    token = await services.tokens.get(connection) if connection.deliver == "mailbox" else None
    exchange = await services.mailroom.send(
        connection,
        token.secret if token else None,
        request,
        priority="high",
        deadline_s=services.settings().graph.timeout_s,
    )
    return judge_mail(exchange.answers[request.id], email=address, tried=0)


def _asked(row: dict[str, Any], language: str, link: str) -> Asked:
    spoken = {"language": language} if language else {}
    return Asked(0, {**row, **spoken, "since": datetime.now(UTC).timestamp()}, redeem_url=link)
