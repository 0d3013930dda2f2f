"""The mailroom words a mail and hands it on: to the server of `[smtp]`, or to a mailbox of the
tenant (`sendMail`).

Whoever asks says to whom, with which link and in which language; what is said, by whom and how it
travels follows from the settings as they are now. What cannot be worded is an answer, too: nothing
was sent then.
https://learn.microsoft.com/graph/api/user-sendmail
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from worker.errors import MailUnusable
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.exchange import Exchange
from worker.graph.retry import UNSENT_ONLY
from worker.mail.message import (
    WORDED,
    Mail,
    MailRequest,
    address_of,
    build_envelope,
    build_graph_message,
    organisation_of,
)
from worker.mail.templates import write

if TYPE_CHECKING:
    from config.connections import Connection
    from config.secrets import Secret
    from config.settings import Settings
    from worker.graph.client import GraphClient, Priority
    from worker.mail.smtp import SmtpClient

AT_ONCE = 4
"""Calls that one mailbox takes at once. https://learn.microsoft.com/graph/throttling-limits"""


class Mailroom:
    """The mailroom is a process's. Close it in the loop that it was used in."""

    def __init__(self, settings: Callable[[], Settings], graph: GraphClient) -> None:
        self._settings = settings
        self._graph = graph
        self._opened: SmtpClient | None = None
        self._mailboxes: dict[tuple[str, str], asyncio.Semaphore] = {}

    async def send(
        self,
        connection: Connection,
        token: Secret | str | None,
        request: MailRequest,
        *,
        priority: Priority = "low",
        deadline_s: float,
        before_send: Callable[[], bool] = lambda: True,
    ) -> Exchange:
        """Send one mail. Never raises for what happens on the wire.

        The answer is a mail server's (`SmtpClient.send`) or Graph's. `token`: for a mailbox.
        """
        try:
            mail = compose(self._settings(), connection, request)
            if connection.deliver == "mailbox":
                assert token is not None
                return await self._by_mailbox(connection, token, request.id, mail, priority, deadline_s, before_send)
            envelope = build_envelope(mail, datetime.now(UTC))
        except MailUnusable as unusable:
            step = "template" if unusable.is_template else "address"
            answer = GraphAnswer(Fate.NOT_SENT, body={"step": step, "said": unusable.sentence})
            return Exchange({request.id: answer}, "", None, 0.0, 0)
        began_s = time.monotonic()
        answer = await self._smtp().send(
            envelope, ca_file=connection.ca_file, deadline_s=deadline_s, before_send=before_send
        )
        return Exchange({request.id: answer}, "", None, time.monotonic() - began_s, 0)

    async def _by_mailbox(
        self,
        connection: Connection,
        token: Secret | str,
        request_id: str,
        mail: Mail,
        priority: Priority,
        deadline_s: float,
        before_send: Callable[[], bool],
    ) -> Exchange:
        mailbox = connection.mailbox or ""
        place = (connection.tenant_key, mailbox.lower())
        async with self._mailboxes.setdefault(place, asyncio.Semaphore(AT_ONCE)):
            return await self._graph.send_one(
                connection,
                token,
                GraphRequest(request_id, "POST", f"/users/{quote(mailbox)}/sendMail", build_graph_message(mail)),
                priority=priority,
                deadline_s=deadline_s,
                before_send=before_send,
                retry=UNSENT_ONLY,
            )

    async def close(self) -> None:
        """Take leave of the mail servers."""
        if self._opened is not None:
            await self._opened.close()

    def _smtp(self) -> SmtpClient:
        if self._opened is None:
            from worker.mail.smtp import SmtpClient  # loads aiosmtplib, for those who mail

            self._opened = SmtpClient(lambda: self._settings().smtp)
        return self._opened


def sender_of(settings: Settings, connection: Connection) -> str:
    """Return who a connection's mails are from: its mailbox or the sender of `[smtp]`, whichever
    sends; where neither does, whichever is there.
    """
    mailbox, sender = connection.mailbox or "", settings.smtp.sender or ""
    return mailbox or sender if connection.deliver == "mailbox" else sender or mailbox


def compose(settings: Settings, connection: Connection, request: MailRequest) -> Mail:
    """Return a mail as it would leave now. Raises `MailUnusable` for a wrong template or sender."""
    sender, reply_to = sender_of(settings, connection), settings.smtp.reply_to or ""
    values: dict[str, Any] = {
        **dict.fromkeys(WORDED, ""),
        **request.more,
        "name": request.name,
        "email": request.to,
        "link": request.link,
        "message": request.message,
        "language": request.language,
        "organisation": organisation_of(sender),
        "contact": address_of(reply_to or sender),
    }
    words = write(request.kind, request.language, values, settings.mail.templates)
    return Mail(
        sender=sender,
        to=request.to,
        words=words,
        to_name=request.name,
        cc=request.cc,
        reply_to=reply_to,
        language=words.language,
        key=request.key,
    )
