"""The message that leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import MailUnusable
from worker.mail.message import Mail, MailRequest, build_envelope, build_graph_message, organisation_of
from worker.mail.templates import Words

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
WORDS = Words("Grüße", "Guten Tag,\n\nhttps://login.example/redeem?rd=x\n", "<p>Guten Tag</p>", "invite.de")


def mail(**fields: object) -> Mail:
    """Return a mail with these fields."""
    given: dict[str, object] = {
        "sender": "Contoso <guests@contoso.example>",
        "to": "ada@partner.example",
        "words": WORDS,
        "to_name": "Ada Lovelace",
        "language": "de",
        "key": "k",
    }
    return Mail(**{**given, **fields})  # type: ignore[arg-type]


def parsed(content: bytes) -> EmailMessage:
    """Return a message as a mail program reads it."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_message_has_what_mail_programs_want() -> None:
    """Who, to whom, when; how to answer and be left alone; that a program wrote it; both texts."""
    envelope = build_envelope(mail(reply_to="Help <help@contoso.example>", cc="boss@partner.example"), AT)
    assert (envelope.sender, envelope.is_utf8) == ("guests@contoso.example", False)
    assert envelope.recipients == ("ada@partner.example", "boss@partner.example")
    message = parsed(envelope.content)
    assert message["From"] == "Contoso <guests@contoso.example>"
    assert message["To"] == "Ada Lovelace <ada@partner.example>"
    assert message["Cc"] == "boss@partner.example"
    assert message["Reply-To"] == "Help <help@contoso.example>"
    assert message["Subject"] == "Grüße"
    assert message["Date"] == "Sun, 29 Nov 2026 12:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] == "<mailto:help@contoso.example?subject=unsubscribe>"
    assert message["Content-Language"] == "de"
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert text.get_content().replace("\r\n", "\n") == WORDS.text
    assert html.get_content_type() == "text/html"
    assert envelope.content.isascii()
    assert max(map(len, envelope.content.split(b"\r\n"))) <= 998
    assert b"\n" not in envelope.content.replace(b"\r\n", b"")


def test_the_message_id_follows_from_the_row() -> None:
    """The same mail of the same row is one message to whoever reads it, and names no row."""
    ids = [parsed(build_envelope(mail(key=key), AT).content)["Message-ID"] for key in ("ada/1", "ada/1", "ada/2")]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].endswith("@contoso.example>")
    assert "ada" not in ids[0]


def test_text_alone() -> None:
    """A template without HTML makes a plain message."""
    message = parsed(build_envelope(mail(words=Words("S", "T\n", "", "invite")), AT).content)
    assert message.get_content_type() == "text/plain"


@given(
    name=st.text(max_size=80),
    local=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    subject=st.text(max_size=80),
)
def test_no_row_makes_a_header_or_a_recipient(name: str, local: str, subject: str) -> None:
    """Whatever a name, an address or a subject holds: the headers are ours, the recipient is one,
    or the mail is refused.
    """
    address = f"{local}@partner.example"
    try:
        envelope = build_envelope(mail(to=address, to_name=name, words=Words(subject, "T\n", "", "invite")), AT)
    except MailUnusable:
        return
    assert len(envelope.recipients) == 1
    assert not set("\r\n") & set(envelope.recipients[0])
    message = parsed(envelope.content)
    assert len(message["To"].addresses) == 1
    assert set(message.keys()) <= {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "List-Unsubscribe", "Content-Language"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }


@pytest.mark.parametrize("address", ["a@b.example\r\nRCPT TO:<c@d.example>", "a b@c.example", "", "a@b@c.example"])
def test_what_is_no_address(address: str) -> None:
    """It is that row's trouble, in a sentence without the address."""
    with pytest.raises(MailUnusable, match="the address is none that mail knows") as caught:
        build_envelope(mail(to=address), AT)
    assert not caught.value.is_template
    assert caught.value.__context__ is None


def test_addresses_beyond_ascii() -> None:
    """A domain goes as IDNA; a local part wants a server that knows RFC 6531."""
    plain = build_envelope(mail(to="ada@bücher.example"), AT)
    assert (plain.recipients, plain.is_utf8) == (("ada@xn--bcher-kva.example",), False)
    assert build_envelope(mail(to="jürgen@bücher.example"), AT).is_utf8


def test_a_mailbox_keeps_no_copy() -> None:
    """Graph is given one body, the recipients and where answers go; no mailbox keeps the link."""
    body = build_graph_message(mail(cc="boss@partner.example", reply_to="Help <help@contoso.example>"))
    assert body["saveToSentItems"] is False
    message = body["message"]
    assert message["body"] == {"contentType": "HTML", "content": WORDS.html}
    assert message["toRecipients"] == [{"emailAddress": {"address": "ada@partner.example", "name": "Ada Lovelace"}}]
    assert message["ccRecipients"] == [{"emailAddress": {"address": "boss@partner.example"}}]
    assert message["replyTo"] == [{"emailAddress": {"address": "help@contoso.example", "name": "Help"}}]
    text = build_graph_message(mail(words=Words("S", "T\n", "", "invite")))
    assert text["message"]["body"] == {"contentType": "Text", "content": "T\n"}


def test_who_a_mail_is_from() -> None:
    """The sender's name, else the domain."""
    assert organisation_of("Contoso <guests@contoso.example>") == "Contoso"
    assert organisation_of("guests@contoso.example") == "contoso.example"


def test_nothing_of_a_mail_is_shown() -> None:
    """Neither address nor link is in a repr, which may end in a log."""
    request = MailRequest("1", "invite", "ada@partner.example", "https://login.example/redeem?rd=x")
    for one in (request, mail(), build_envelope(mail(), AT)):
        assert "ada" not in repr(one).lower()
        assert "redeem" not in repr(one)
