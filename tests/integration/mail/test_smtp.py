"""The way to a mail server, over real TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.references import Reference
from config.sections import SmtpSection
from tests.integration.mail.mail_servers import PASSWORD, MailServer, run_mail_server
from tests.servers import Certificate, make_certificate
from worker.graph.batch import NOTE_STALE, Fate, GraphAnswer
from worker.mail.message import Envelope, Mail, build_envelope
from worker.mail.smtp import SmtpClient
from worker.mail.templates import Words


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One that the client is told to trust."""
    return make_certificate(tmp_path_factory.mktemp("mail"), "localhost")


@pytest.fixture(params=[True, False], ids=["smtps", "starttls"])
async def mail(certificate: Certificate, request: pytest.FixtureRequest) -> AsyncIterator[MailServer]:
    """A mail server, with TLS from the start or by STARTTLS."""
    async with run_mail_server(certificate, tls_first=request.param) as server:
        yield server


class Sender:
    """A client of one mail server."""

    def __init__(self, server: MailServer, password: Path) -> None:
        password.write_text(PASSWORD)
        self.password = password
        reference = Reference.parse(f"file:{password}")
        section = SmtpSection.model_validate(
            {"url": server.url, "password": reference, "from": "Contoso <guests@contoso.example>"}
        )
        self.client = SmtpClient(lambda: section)
        self.ca_file: str | None = str(server.certificate.certificate)

    async def send(
        self, to: str = "ada@partner.example", *, may_leave: bool = True, deadline_s: float = 5
    ) -> GraphAnswer:
        """Send a mail."""
        return await self.client.send(
            envelope(to), ca_file=self.ca_file, deadline_s=deadline_s, before_send=lambda: may_leave
        )


def envelope(to: str, cc: str = "") -> Envelope:
    """Return a mail to somebody."""
    words = Words("Welcome", "Hello\n.\nhttps://login.example/redeem?rd=x\n", "<p>Hello</p>", "invite")
    return build_envelope(Mail("Contoso <guests@contoso.example>", to, words, cc=cc), datetime.now(UTC))


@pytest.fixture
async def sender(mail: MailServer, tmp_path: Path) -> AsyncIterator[Sender]:
    """A client of that server."""
    sender = Sender(mail, tmp_path / "password")
    yield sender
    await sender.client.close()


def step(answer: GraphAnswer) -> tuple[int, str]:
    """Return code and step of an answer."""
    return answer.status, answer.body["step"]


async def test_mails_go_over_one_connection(mail: MailServer, sender: Sender) -> None:
    """Logged in once, one after the other, whole."""
    answers = await asyncio.gather(*(sender.send(f"g{n}@partner.example") for n in range(5)))
    assert {step(answer) for answer in answers} == {(250, "data")}
    assert len(mail.sessions) == 1
    assert sorted(one.rcpt_tos[0] for one in mail.received) == [f"g{n}@partner.example" for n in range(5)]
    content = mail.received[0].content
    assert isinstance(content, bytes)
    assert b"\r\n.\r\n" in content
    assert b"Auto-Submitted: auto-generated" in content


async def test_a_connection_that_the_server_closed_is_made_anew(mail: MailServer, sender: Sender) -> None:
    """Nothing had left, so the mail goes at once over another."""
    await sender.send()
    mail.hang_up()
    await asyncio.sleep(0)
    assert step(await sender.send()) == (250, "data")
    assert (len(mail.sessions), len(mail.received)) == (2, 2)


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "451 4.7.1 greylisted"])
async def test_a_refused_recipient_costs_no_connection(mail: MailServer, sender: Sender, reply: str) -> None:
    """The next mail goes over the same."""
    mail.on_rcpt = lambda address: reply if address.startswith("bad") else "250 OK"
    answer = await sender.send("bad@partner.example")
    assert step(answer) == (int(reply[:3]), "rcpt")
    assert reply[4:] in answer.body["said"]
    assert step(await sender.send()) == (250, "data")
    assert len(mail.sessions) == 1


async def test_a_copy_that_is_refused_holds_up_nobody(mail: MailServer, sender: Sender) -> None:
    """The guest is mailed."""
    mail.on_rcpt = lambda address: "550 no" if address.startswith("copy") else "250 OK"
    copied = envelope("ada@partner.example", cc="copy@partner.example")
    answer = await sender.client.send(copied, ca_file=sender.ca_file, deadline_s=5)
    assert step(answer) == (250, "data")
    assert mail.received[0].rcpt_tos == ["ada@partner.example"]


async def test_a_connection_that_breaks_after_data_loses_the_answer(mail: MailServer, sender: Sender) -> None:
    """The server may have the mail: it is not sent again. The next takes a new connection."""
    replies: list[str | None] = [None, "250 queued"]
    mail.on_data = lambda _: replies.pop(0)
    answer = await sender.send()
    assert answer.fate is Fate.LOST
    assert "partner" not in answer.note
    assert step(await sender.send("bo@partner.example")) == (250, "data")
    assert [one.rcpt_tos[0] for one in mail.received] == ["ada@partner.example", "bo@partner.example"]


async def test_a_server_that_says_nothing_after_data(mail: MailServer, sender: Sender) -> None:
    """A time limit is a lost answer, too."""
    mail.on_data = lambda _: "250 queued"
    held = asyncio.Event()
    original = mail.handle_DATA

    async def slow(*args: object) -> str:
        await original(*args)  # type: ignore[arg-type]
        await held.wait()
        return "250 queued"

    mail.handle_DATA = slow  # type: ignore[method-assign, assignment]
    answer = await sender.send(deadline_s=0.3)
    held.set()
    assert (answer.fate, answer.note) == (Fate.LOST, "no answer in time")
    assert len(mail.received) == 1


async def test_a_connection_that_breaks_before_data_has_sent_nothing(mail: MailServer, sender: Sender) -> None:
    """It may be tried again."""
    mail.on_rcpt = lambda _: None
    answer = await sender.send()
    assert answer.fate is Fate.NOT_SENT
    assert mail.received == []


@pytest.mark.parametrize("reply", ["552 5.3.4 too big", "451 4.3.0 try later"])
async def test_a_refusal_after_data_is_the_servers_word(mail: MailServer, sender: Sender, reply: str) -> None:
    """Nothing was taken, so nothing is in doubt."""
    mail.on_data = lambda _: reply
    assert step(await sender.send()) == (int(reply[:3]), "data")


async def test_a_mark_that_has_grown_old_lets_nothing_leave(mail: MailServer, sender: Sender) -> None:
    """DATA is not begun."""
    answer = await sender.send(may_leave=False)
    assert (answer.fate, answer.note) == (Fate.NOT_SENT, NOTE_STALE)
    assert mail.received == []


async def test_a_wrong_password(mail: MailServer, sender: Sender) -> None:
    """The answer is the login's; a file that is mended counts with the next mail."""
    sender.password.write_text("wrong")
    assert step(await sender.send()) == (535, "login")
    sender.password.write_text(PASSWORD)
    assert step(await sender.send()) == (250, "data")
    sender.password.unlink()
    answer = await sender.send()
    assert step(answer) == (535, "login")
    assert "does not exist" in answer.body["said"]


async def test_a_certificate_that_nobody_vouches_for(mail: MailServer, sender: Sender) -> None:
    """Nothing is said to such a server, not the password either."""
    sender.ca_file = None
    answer = await sender.send()
    assert step(answer) == (0, "tls")
    assert "self-signed" in answer.body["said"].replace(" ", "-")
    assert mail.received == []


async def test_an_address_beyond_ascii(sender: Sender) -> None:
    """A server that does not know them says so of that row alone."""
    assert step(await sender.send("jürgen@partner.example")) == (553, "address")
    assert step(await sender.send()) == (250, "data")


async def test_a_server_that_is_away(certificate: Certificate, tmp_path: Path) -> None:
    """Nothing was sent."""
    async with run_mail_server(certificate) as server:
        sender = Sender(server, tmp_path / "password")
    answer = await sender.send()
    assert (answer.fate, answer.body["step"]) == (Fate.NOT_SENT, "connect")
    assert answer.note
    await sender.client.close()


async def test_a_plain_server_is_told_nothing(certificate: Certificate, tmp_path: Path) -> None:
    """One that offers no STARTTLS hears neither password nor mail."""
    heard: list[bytes] = []
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"250 hello\r\n" if line.startswith(b"EHLO") else b"502 no\r\n")
        writer.close()
        await writer.wait_closed()
        gone.set()

    plain = await asyncio.start_server(serve, "127.0.0.1", 0)
    server = MailServer(certificate, tls_first=False, port=plain.sockets[0].getsockname()[1])
    sender = Sender(server, tmp_path / "password")
    answer = await sender.send()
    assert step(answer)[1] == "tls"
    assert not any(b"AUTH" in line or b"MAIL" in line for line in heard)
    await sender.client.close()
    await gone.wait()
    plain.close()
