"""A mail server in the test's own loop: it takes mails, refuses, puts off, hangs up, as a test
says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers import Certificate

USER, PASSWORD = "usher", "not-a-real-one"


@dataclass
class MailServer:
    """What it got, and how it behaves. A reply of None: it hangs up instead."""

    certificate: Certificate
    tls_first: bool
    port: int = 0
    received: list[Envelope] = field(default_factory=list)
    on_mail: Callable[[str], str | None] = lambda address: "250 OK"
    on_rcpt: Callable[[str], str | None] = lambda address: "250 OK"
    on_data: Callable[[Envelope], str | None] = lambda envelope: "250 queued"
    password: str = PASSWORD
    sessions: list[SMTP] = field(default_factory=list)  # one for each connection

    @property
    def url(self) -> str:
        """Its address, for `smtp.url`."""
        return f"{'smtps' if self.tls_first else 'smtp+starttls'}://{USER}@localhost:{self.port}"

    def hang_up(self) -> None:
        """Close every connection that is open now."""
        for server in self.sessions:
            if isinstance(server.transport, asyncio.Transport):
                server.transport.abort()

    async def handle_EHLO(  # noqa: N802  (aiosmtpd's names)
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Answer with what it offers."""
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer as the test says."""
        envelope.mail_from = address
        return self._reply(server, self.on_mail(address))

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer as the test says."""
        reply = self._reply(server, self.on_rcpt(address))
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail, then answer as the test says."""
        reply = self.on_data(envelope)
        if reply is None or reply.startswith("2"):
            self.received.append(envelope)
        return self._reply(server, reply)

    def _reply(self, server: Any, reply: str | None) -> str:
        if reply is None:
            server.transport.abort()
        return reply or "421 gone"

    def authenticate(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Take the user with the password."""
        assert isinstance(data, LoginPassword)
        is_good = (data.login, data.password) == (USER.encode(), self.password.encode())
        return AuthResult(success=is_good, handled=False)

    def build(self) -> SMTP:
        """Return the protocol of one connection."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate.both)
        protocol = SMTP(
            self,
            authenticator=self.authenticate,
            auth_required=not self.tls_first,  # aiosmtpd warns of a login without TLS, and does not see ours
            auth_require_tls=not self.tls_first,
            tls_context=None if self.tls_first else context,
            require_starttls=not self.tls_first,
            enable_SMTPUTF8=False,
            loop=asyncio.get_running_loop(),
        )
        self.sessions.append(protocol)
        return protocol


@asynccontextmanager
async def run_mail_server(certificate: Certificate, *, tls_first: bool = True) -> AsyncIterator[MailServer]:
    """Run a mail server on a port of its own."""
    mail = MailServer(certificate, tls_first)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.both)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(mail.build, "127.0.0.1", 0, ssl=context if tls_first else None)
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        server.close()
        mail.hang_up()
        await asyncio.sleep(0)  # an aborted transport closes in the loop's next turn
