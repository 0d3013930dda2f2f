"""A mail of one's own is shown before anybody gets it, or sent to one address to see whether the
way works. Neither invites anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTPUTF8
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
    content = build_envelope(mail, datetime.now(UTC)).content
    return Preview(mail, _as_by_mailbox(content) if connection.deliver == "mailbox" else content)


def _as_by_mailbox(content: bytes) -> bytes:
    """Return a message without what a mailbox does not send: Graph takes one body, and no headers
    of ours (`build_graph_message`).
    """
    message = message_from_bytes(content, policy=SMTPUTF8)
    for name in _NOT_BY_GRAPH:
        del message[name]
    body = message.get_body(("html", "plain"))
    assert body is not None
    if body is not message:
        text, subtype = body.get_content(), body.get_content_subtype()
        message.clear_content()
        message.set_content(text, subtype=subtype, cte="quoted-printable")
    return message.as_bytes()


_NOT_BY_GRAPH = ("Message-ID", "Auto-Submitted", "List-Unsubscribe", "Content-Language", "Date")


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
