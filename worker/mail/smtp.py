"""The SMTP client is the one place that speaks to a mail server: a message in, fates and answers
out.

As with Graph, what matters is whether a message may have *left*: that is, whether DATA was begun.
Before, nothing was sent and a broken connection is only that. From then on nothing but the server's
own word counts; without it the mail is `LOST`, and nobody sends it again.

One connection a server is kept and used for one mail after the other. TLS is always on and always
checked, with the trust that everything here has (`worker/net/tls.py`).
https://www.rfc-editor.org/rfc/rfc5321  https://www.rfc-editor.org/rfc/rfc3207
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPResponseException, SMTPServerDisconnected

from config.errors import ConfigError
from config.mail import MailServer, read_smtp_url
from worker.errors import WayOutUnusable
from worker.graph.batch import NOTE_STALE, Fate, GraphAnswer
from worker.mail.message import Envelope
from worker.net import tls

if TYPE_CHECKING:
    from config.sections import SmtpSection

CONNECT_S = 10.0
"""For DNS, TCP, TLS, greeting and login together."""
IDLE_S = 60.0
"""A connection idle for longer is not used again: servers close theirs after some minutes, and a
mail should not meet that.
"""
_CLOSING = 421
"""The server is about to close the connection, whatever it was asked."""


@dataclass(slots=True)
class _Line:
    """The kept connection to one server, and whose turn it is."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: SMTP | None = None
    password: str = field(default="", repr=False)  # that it was logged in with
    used_s: float = 0.0

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None


class _Failed(Exception):
    """A step that failed, as the answer that it comes to."""

    def __init__(self, answer: GraphAnswer) -> None:
        self.answer = answer


class SmtpClient:
    """Sends messages through the server of `[smtp]`. Close it in the loop that it was used in."""

    def __init__(self, section: Callable[[], SmtpSection]) -> None:
        self._section = section
        self._lines: dict[tuple[MailServer, str | None], _Line] = {}

    async def send(
        self,
        envelope: Envelope,
        *,
        ca_file: str | None = None,
        deadline_s: float,
        before_send: Callable[[], bool] = lambda: True,
    ) -> GraphAnswer:
        """Send one message. Never raises for what happens on the wire.

        An answer has the server's code as its status, and as its body the `step` that it was given
        to (`connect`, `tls`, `login`, `mail`, `rcpt`, `data`, `address`) and what the server
        `said`. `before_send` is asked in the moment before DATA; when it says no, nothing leaves.
        """
        section = self._section()
        if section.url is None:
            return _unsent("connect", "smtp.url is not set")
        server = read_smtp_url(section.url)
        line = self._lines.setdefault((server, ca_file), _Line())
        async with line.lock:
            if not before_send():
                return _STALE
            try:
                password = section.password.resolve().reveal() if section.password is not None else ""
            except ConfigError as error:
                return _answer(535, "login", str(error))
            attempt = _Attempt(line, server, password, ca_file, deadline_s, before_send)
            answer = await attempt.run(envelope)
            if attempt.was_kept and answer.fate is Fate.NOT_SENT and answer.note != NOTE_STALE:
                answer = await attempt.run(envelope)  # the server had closed what was kept: nothing has left
            return answer

    async def close(self) -> None:
        """Take leave of the servers. May be called twice."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            if line.client is not None and line.client.is_connected:
                with suppress(SMTPException, OSError, TimeoutError):
                    await line.client.quit(timeout=1.0)
            line.close()


class _Attempt:
    """One message on its way over one line."""

    def __init__(
        self,
        line: _Line,
        server: MailServer,
        password: str,
        ca_file: str | None,
        deadline_s: float,
        before_send: Callable[[], bool],
    ) -> None:
        self._line = line
        self._server = server
        self._password = password
        self._ca_file = ca_file
        self._limit_s = deadline_s
        self._before_send = before_send
        self._step = "connect"
        self._left = False
        self.was_kept = False

    async def run(self, envelope: Envelope) -> GraphAnswer:
        """Send the message; whatever breaks is an answer."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limit_s):
                client = await self._ready(loop.time())
                answer = await self._say(client, envelope)
            self._line.used_s = loop.time()
            return answer
        except _Failed as failed:
            return failed.answer
        except asyncio.CancelledError:
            self._line.close()
            raise
        except Exception as error:
            self._line.close()
            if self._left:  # whatever it was, the mail may be on its way
                return GraphAnswer(Fate.LOST, note=_describe(error))
            if isinstance(error, (SMTPException, OSError, TimeoutError, WayOutUnusable)):
                return _unsent(self._step, _describe(error))
            raise

    async def _ready(self, now_s: float) -> SMTP:
        """Return the kept connection, or a new one that is logged in."""
        line, server = self._line, self._server
        client = line.client
        is_good = client is not None and client.is_connected and now_s - line.used_s < IDLE_S
        self.was_kept = is_good and line.password == self._password and self._step == "connect"
        if client is not None and self.was_kept:
            return client
        line.close()
        self._step = "connect"
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls_first,
            start_tls=False,
            tls_context=await asyncio.to_thread(tls.shared_context, self._ca_file),
            timeout=self._limit_s,
        )
        async with asyncio.timeout(min(CONNECT_S, self._limit_s)):
            try:
                await client.connect()
                if not server.tls_first:
                    self._step = "tls"
                    await client.starttls(tls_context=await asyncio.to_thread(tls.shared_context, self._ca_file))
                if server.user:
                    self._step = "login"
                    await client.login(server.user, self._password)
            except BaseException as error:
                client.close()
                self._translate(error)
                raise
        line.client, line.password = client, self._password
        return client

    def _translate(self, error: BaseException) -> None:
        """Raise `_Failed` for what a person has to mend, or the server has said."""
        broken = _find_tls_error(error)
        if broken is not None and not isinstance(error, TimeoutError):
            raise _Failed(_answer(0, "tls", broken)) from None
        if isinstance(error, SMTPResponseException):
            raise _Failed(_answer(error.code, self._step, error.message)) from None
        is_reply = isinstance(error, SMTPException) and not isinstance(error, (OSError, TimeoutError))
        if is_reply and self._step != "connect":  # the server offers no STARTTLS, or no login
            raise _Failed(_answer(0, self._step, str(error))) from None

    async def _say(self, client: SMTP, envelope: Envelope) -> GraphAnswer:
        """Take the steps of one mail. A refusal before DATA leaves the connection as it was."""
        encoding = "utf-8" if envelope.is_utf8 else "ascii"
        try:
            if envelope.is_utf8 and not client.supports_extension("smtputf8"):
                return _answer(553, "address", "the server does not take addresses beyond ASCII")
            self._step = "mail"
            options = ["smtputf8"] if envelope.is_utf8 else []
            await client.mail(envelope.sender, options=options, encoding=encoding)
            self._step = "rcpt"
            guest, *copies = envelope.recipients
            await client.rcpt(guest, encoding=encoding)
            for copy in copies:
                with suppress(SMTPRecipientRefused):  # the guest's mail does not wait for it
                    await client.rcpt(copy, encoding=encoding)
            if not self._before_send():
                await self._reset(client)
                return _STALE
            self._step, self._left = "data", True
            response = await client.data(envelope.content)
            return _answer(response.code, "data", response.message)
        except SMTPResponseException as error:
            if error.code == _CLOSING or not client.is_connected:
                self._line.close()
            else:
                await self._reset(client)
            if error.code < 400:
                raise SMTPServerDisconnected("unexpected answer") from None
            return _answer(error.code, self._step, error.message)
        except (UnicodeError, ValueError):
            await self._reset(client)
            return _answer(553, "address", "this is no address that mail knows")

    async def _reset(self, client: SMTP) -> None:
        try:
            await client.rset()
        except (SMTPException, OSError, TimeoutError):
            self._line.close()


_STALE = GraphAnswer(Fate.NOT_SENT, body={"step": "stale", "said": ""}, note=NOTE_STALE)


def _answer(status: int, step: str, said: str) -> GraphAnswer:
    return GraphAnswer(Fate.ANSWERED, status, body={"step": step, "said": " ".join(said.split())})


def _unsent(step: str, why: str) -> GraphAnswer:
    return GraphAnswer(Fate.NOT_SENT, body={"step": step, "said": ""}, note=why)


def _find_tls_error(error: BaseException | None) -> str | None:
    """Return why TLS did not come about, None where that is not the trouble."""
    for _ in range(8):
        if error is None:
            return None
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, ssl.SSLError):
            return error.reason or "no TLS"
        error = error.__cause__ or error.__context__
    return None


def _describe(error: BaseException) -> str:
    """Say what broke, by its kind: a library's own words may quote an address."""
    if isinstance(error, WayOutUnusable):
        return error.sentence
    if isinstance(error, TimeoutError):
        return "no answer in time"
    cause: Any = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return getattr(cause, "strerror", None) or "the connection was lost"
