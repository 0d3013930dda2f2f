"""The sandbox's mail server, spoken to as usher does: TLS, a password, faults, and a record."""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import pytest

from tests.integration.sandbox.callers import Running, text_of


def _letter(to: str = "guest@partner.example") -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = "Contoso <invites@contoso.example>"
    letter["To"] = to
    letter["Subject"] = "Willkommen, Zoë"
    letter["Message-ID"] = "<row-1@usher.example>"
    letter["Reply-To"] = "ada@contoso.example"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content("Grüße")
    letter.add_alternative("<p>Grüße</p>", subtype="html")
    return letter


def _client(sandbox: Running, *, starttls: bool = False, **changes: Any) -> aiosmtplib.SMTP:
    told = sandbox.ready["smtp"]
    options = {
        "hostname": told["host"],
        "port": told["starttls_port" if starttls else "port"],
        "use_tls": not starttls,
        "start_tls": starttls,
        "tls_context": ssl.create_default_context(cafile=sandbox.ready["ca_file"]),
        "username": told["user"],
        "password": text_of(told["password_file"]),
        "timeout": 20,
        **changes,
    }
    return aiosmtplib.SMTP(**options)


@pytest.mark.parametrize("starttls", [False, True])
async def test_a_letter_is_kept_whole(sandbox: Running, starttls: bool) -> None:
    """On either port, with text, HTML and headers as they were sent."""
    async with _client(sandbox, starttls=starttls) as client:
        await client.send_message(_letter())
        await client.send_message(_letter("Other@partner.example"))
    first, second = await sandbox.control("mails?via=smtp")
    assert (first["to"], second["to"]) == ("guest@partner.example", "other@partner.example")
    assert (first["subject"], first["text"].strip(), first["html"].strip()) == (
        "Willkommen, Zoë",
        "Grüße",
        "<p>Grüße</p>",
    )
    assert (first["from"], first["reply_to"]) == ("invites@contoso.example", "ada@contoso.example")
    assert first["message_id"] == "<row-1@usher.example>"
    assert ["Auto-Submitted", "auto-generated"] in first["headers"]
    stats = await sandbox.control("stats")
    assert stats["requests"]["smtp"] == {"250": 2}
    assert stats["mails"]["max_per_address"] == 1


@pytest.mark.parametrize("starttls", [False, True])
async def test_without_the_password_nothing_is_taken(sandbox: Running, starttls: bool) -> None:
    """A wrong password is 535; no password gets no further than its first command."""
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
        await _client(sandbox, starttls=starttls, password="wrong").connect()
    assert refused.value.code == 535
    async with _client(sandbox, starttls=starttls, username=None, password=None) as client:
        with pytest.raises(aiosmtplib.SMTPException):
            await client.send_message(_letter())
    assert await sandbox.control("mails") == []


async def test_a_connection_dropped_after_data_leaves_the_letter(sandbox: Running) -> None:
    """The answer is lost and the letter is not: whoever sends it again mails twice."""
    await sandbox.control("faults", {"spec": "lost@smtp=1*1"})
    client = _client(sandbox)
    await client.connect()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.send_message(_letter())
    assert len(await sandbox.control("mails")) == 1
    async with _client(sandbox) as client:
        await client.send_message(_letter())
    stats = await sandbox.control("stats")
    assert stats["mails"]["max_per_address"] == 2
    assert stats["requests"]["smtp"] == {"0": 1, "250": 1}


async def test_a_connection_dropped_before_data_is_taken_leaves_none(sandbox: Running) -> None:
    """The other half: nothing was kept."""
    await sandbox.control("faults", {"spec": "reset-before@smtp=1*1"})
    client = _client(sandbox)
    await client.connect()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.send_message(_letter())
    assert await sandbox.control("mails") == []


@pytest.mark.parametrize(
    ("spec", "to", "status"),
    [
        ("550@smtp_recipient=1*1", "guest@partner.example", 550),
        ("451@smtp_recipient=1*1", "guest@partner.example", 451),
        ("", "nobody@refused.example", 550),
        ("", "somebody@full.example", 552),
        ("", "somebody@later.example", 451),
    ],
)
async def test_recipients_are_refused(sandbox: Running, spec: str, to: str, status: int) -> None:
    """By a fault once, by some domains always, for good or for a while."""
    await sandbox.control("faults", {"spec": spec})
    async with _client(sandbox) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await client.send_message(_letter(to))
        assert refused.value.recipients[0].code == status
        await client.send_message(_letter())
    assert [mail["to"] for mail in await sandbox.control("mails")] == ["guest@partner.example"]


async def test_a_message_is_refused(sandbox: Running) -> None:
    """After DATA too, with the words of the fault."""
    fault = {"fault": "error", "on": "smtp", "status": 554, "message": "5.7.1 Spam", "times": 1}
    await sandbox.control("faults", {"faults": [fault]})
    async with _client(sandbox) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await client.send_message(_letter())
        assert (refused.value.code, refused.value.message) == (554, "5.7.1 Spam")
    assert await sandbox.control("mails") == []


async def test_a_rate(sandbox: Running) -> None:
    """Beyond it, a sender is told to come again."""
    await sandbox.control("quota", {"limits": "smtp_mails=2/1000s"})
    async with _client(sandbox) as client:
        await client.send_message(_letter())
        await client.send_message(_letter())
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await client.send_message(_letter())
        assert refused.value.code == 450
    await sandbox.control("quota", {"limits": {}})
    assert len(await sandbox.control("mails")) == 2


async def test_faults_of_graph_leave_the_mail_server_alone(sandbox: Running) -> None:
    """A bare fault strikes Graph, not the mail server; and not every fault is one of mail."""
    await sandbox.control("faults", {"spec": "lost=1"})
    async with _client(sandbox) as client:
        await client.send_message(_letter())
    assert sandbox.session
    for spec in ("half@smtp=1", "504@smtp=1", "550=1", "550@update_user=1", "lost@smtp@users=1"):
        url = f"{sandbox.ready['control_url']}/faults"
        async with sandbox.session.post(url, json={"spec": spec}) as answer:
            assert (answer.status, spec) == (400, spec)
