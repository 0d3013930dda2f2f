"""The settings of own mail."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.mail import MailServer, Rate, parse_address, parse_sender, read_smtp_url
from config.reader import parse_connection
from tests.configs import CONTOSO, build_connection, faults_of, load

SMTP = """
[smtp]
url = "smtp+starttls://u%40contoso.com@mail.contoso.com"
password = "env:SMTP_PASSWORD"
from = "Contoso <guests@contoso.com>"
"""


def test_microsoft_mails_unless_told(tmp_path: Path) -> None:
    """Nothing changes for who says nothing of mail."""
    settings = load(tmp_path, CONTOSO)
    contoso = settings.connection("contoso")
    assert (contoso.deliver, contoso.mailbox, contoso.mails_itself) == ("graph", None, False)
    assert (settings.smtp.url, settings.smtp.rate, settings.mail.templates) == (None, Rate(30), None)


def test_a_mail_server(tmp_path: Path) -> None:
    """Its password is a reference like others; templates lie beside the configuration."""
    settings = load(tmp_path, CONTOSO + 'deliver = "smtp"\n' + SMTP + '[mail]\ntemplates = "texts"')
    assert settings.connection("contoso").mails_itself
    assert settings.smtp.sender == "Contoso <guests@contoso.com>"
    assert settings.smtp.password in settings.references
    assert settings.mail.templates == str(tmp_path / "texts")


def test_the_environment_names_it_too(tmp_path: Path) -> None:
    """Also the key that is a word of Python's."""
    env = {
        "USHER_CONNECTIONS__CONTOSO__DELIVER": "smtp",
        "USHER_SMTP__URL": "smtps://mail.contoso.com",
        "USHER_SMTP__FROM": "guests@contoso.com",
        "USHER_SMTP__RATE": "600/min",
    }
    settings = load(tmp_path, CONTOSO, env)
    assert settings.smtp.sender == "guests@contoso.com"
    assert settings.smtp.rate.per_minute == 600


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtps://mail.contoso.com", MailServer("mail.contoso.com", 465, "", True)),
        ("smtps://u@mail.contoso.com:2465/", MailServer("mail.contoso.com", 2465, "u", True)),
        (
            "smtp+starttls://u%40contoso.com@mail.contoso.com",
            MailServer("mail.contoso.com", 587, "u@contoso.com", False),
        ),
    ],
)
def test_urls_of_mail_servers(url: str, server: MailServer) -> None:
    """Port and TLS follow from the scheme."""
    assert read_smtp_url(url) == server


@pytest.mark.parametrize(
    "url", ["smtp://h", "mail.contoso.com", "smtps://u:secret@h", "smtps://h/x", "smtps://h?tls=no", "smtps://h\r\n", 5]
)
def test_what_is_no_mail_server(url: object) -> None:
    """No plain connection, no password in the URL; and no fault shows what was written."""
    with pytest.raises(ValueError) as caught:
        read_smtp_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a@b", "a b@c.de", "a@b.de\r\nBcc: x@y.de", "<a@b.de>", "", None, "a@b.de, c@d.de"])
def test_what_is_no_address(value: object) -> None:
    """Nothing that could become two recipients or another header."""
    with pytest.raises(ValueError, match="must be an e-mail address"):
        parse_address(value)


def test_senders() -> None:
    """With a name or without; a line break is no part of one."""
    assert parse_sender("Contoso, IT <it@contoso.com>".replace(",", "")) == "Contoso IT <it@contoso.com>"
    assert parse_sender("it@contoso.com") == "it@contoso.com"
    for value in ("Contoso", "Contoso <it@contoso.com>\nBcc: x@y.de", 1):
        with pytest.raises(ValueError, match="must be an e-mail address"):
            parse_sender(value)


@pytest.mark.parametrize("value", ["30", "0/min", "30/s", 30, "-1/min"])
def test_what_is_no_rate(value: object) -> None:
    """A number of mails a minute."""
    with pytest.raises(ValueError, match="must be a number of mails a minute"):
        Rate.parse(value)


def test_what_goes_together(tmp_path: Path) -> None:
    """A delivery without what it needs is told, by the key that is missing."""
    assert faults_of(tmp_path, CONTOSO + 'deliver = "smtp"') == [
        'usher.toml: connections.contoso.deliver is "smtp", which needs smtp.url and smtp.from.'
    ]
    assert faults_of(tmp_path, CONTOSO + 'deliver = "mailbox"') == [
        'usher.toml: connections.contoso.mailbox is missing, and deliver is "mailbox".'
    ]
    assert faults_of(tmp_path, SMTP.replace("password", "#password")) == [
        "usher.toml: smtp.password and the user in smtp.url go together: one of them is missing."
    ]
    assert faults_of(tmp_path, CONTOSO + 'deliver = "mail"') == [
        "usher.toml: connections.contoso.deliver must be one of graph, smtp, mailbox, none (did you mean mailbox?)."
    ]
    redis = '[redis]\nurl = "redis://h"\n'
    itself = CONTOSO + 'deliver = "mailbox"\nmailbox = "invites@contoso.example"\n'
    (fault,) = faults_of(tmp_path, itself + redis)
    assert 'contoso.deliver is "mailbox", which needs ledger.key' in fault
    assert load(tmp_path, itself + redis + '[ledger]\nkey = "env:KEY"\n').connection("contoso").mails_itself
    with pytest.raises(ConfigError, match="mailbox is missing"):
        parse_connection(
            "c", {"tenant_id": "c.example", "client_id": "a", "client_secret": "env:A", "deliver": "mailbox"}
        )
    assert build_connection(deliver="mailbox", mailbox="invites@contoso.example").mails_itself
