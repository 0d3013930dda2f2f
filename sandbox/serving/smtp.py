"""The sandbox's mail server: what is handed to it is recorded and goes nowhere.

It listens on two ports, one with TLS from the first byte and one with STARTTLS, and wants a user
and a password on both. Faults named for `smtp_recipient` strike an address (RCPT), those for `smtp`
the message (DATA), before it is taken or after; some domains are refused always.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sandbox.certificates import write_private
from sandbox.faults import Fired
from sandbox.letters import read_letter
from sandbox.serving.network import reset_on_close
from sandbox.world import World

USER = "usher"
_MOST_BYTES = 4 * 1024 * 1024
_REFUSED = {
    "refused.example": "550 5.1.1 The recipient is not known here.",
    "full.example": "552 5.2.2 The mailbox is full.",
    "later.example": "451 4.7.1 Greylisted, please try again later.",
}
"""Domain → what every recipient in it is answered."""
_GREETED = "sandbox.example"


class MailServer:
    """Serves SMTP for one `World`, on loopback."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._servers: list[asyncio.Server] = []
        self.port = self.starttls_port = 0
        self.password_file = world.folder / "smtp_password"
        self._password = _load_password(self.password_file)

    async def start(self) -> None:
        """Listen on both ports. Raises OSError."""
        logging.getLogger("mail.log").disabled = True  # a caller's mistakes are answered to the caller
        files, options = self._world.server_files, self._world.options
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.chain_file, files.key_file)
        loop = asyncio.get_running_loop()
        implicit = await loop.create_server(
            self._session(None), options.host, options.smtp_port, ssl=context, backlog=256
        )
        self._servers.append(implicit)
        upgraded = await loop.create_server(self._session(context), options.host, options.starttls_port, backlog=256)
        self._servers.append(upgraded)
        self.port, self.starttls_port = (server.sockets[0].getsockname()[1] for server in self._servers)

    async def stop(self) -> None:
        """Stop listening. What is connected ends with the process."""
        for server in self._servers:
            server.close()

    def _session(self, starttls: ssl.SSLContext | None) -> Callable[[], SMTP]:
        def make() -> SMTP:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # without STARTTLS the whole connection is TLS already
                return SMTP(
                    _Handler(self._world),
                    hostname=_GREETED,
                    ident="the sandbox's mail server",
                    data_size_limit=_MOST_BYTES,
                    enable_SMTPUTF8=True,
                    tls_context=starttls,
                    require_starttls=starttls is not None,
                    auth_required=True,
                    auth_require_tls=starttls is not None,
                    authenticator=self._authenticate,
                )

        return make

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        good = (
            isinstance(data, LoginPassword)
            and hmac.compare_digest(data.login, USER.encode())
            and hmac.compare_digest(data.password, self._password)
        )
        self._world.recorder.request("smtp_login", 235 if good else 535)
        return AuthResult(success=good, handled=good, message=None if good else "535 5.7.8 Authentication refused.")


class _Handler:
    """Answers the commands of one connection."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_MAIL(  # noqa: N802  # aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender, if the rate allows another message."""
        wait = self._world.quotas.take_smtp()
        if wait is not None:
            return self._answer("smtp", f"450 4.7.1 Too many messages, try again after {wait} s.")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        fired = self._world.faults.for_request(("smtp_recipient",))
        if fired is not None and (struck := await self._strike(server, fired)):
            return self._answer("smtp_recipient", struck)
        refused = _REFUSED.get(address.rpartition("@")[2].lower())
        if refused is not None:
            return self._answer("smtp_recipient", refused)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return self._answer("smtp_recipient", "250 2.1.5 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message: record it, and answer, or not."""
        fired = self._world.faults.for_request(("smtp",))
        if fired is not None and not fired.after and (struck := await self._strike(server, fired)):
            return self._answer("smtp", struck)
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        letter = read_letter(content, envelope.mail_from or "")
        for address in dict.fromkeys(recipient.lower() for recipient in envelope.rcpt_tos):
            self._world.recorder.letter(None, address, letter)
        self._world.recorder.flush()
        if fired is not None and fired.after and (struck := await self._strike(server, fired)):
            return self._answer("smtp", struck)
        return self._answer("smtp", f"250 2.0.0 OK: queued as {self._world.recorder.mails_total}")

    async def _strike(self, server: SMTP, fired: Fired) -> str:
        """Let a fault happen; returns the answer it stands for, or '' where the command goes on."""
        if fired.action == "slow":
            await asyncio.sleep(fired.seconds)
            return ""
        if fired.action == "hang":
            # The transport may end too, without an event
            while server.transport is not None and not server.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            return "000"
        if fired.action == "reset":
            if server.transport is not None:
                reset_on_close(server.transport)
            return "000"
        return f"{fired.status} {fired.message}"

    def _answer(self, operation: str, answer: str) -> str:
        """Count an answer; 000 never arrives."""
        self._world.recorder.request(operation, int(answer[:3]))
        return answer


def _load_password(path: Path) -> bytes:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(18).encode())
    return path.read_bytes().strip()
