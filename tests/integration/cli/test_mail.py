"""`usher mail`: a mail is shown before anybody gets it, and tried with one address."""

from __future__ import annotations

import json
from email import message_from_bytes, policy

import pytest

from tests.places import Place

SMTP = """
deliver = "smtp"
[smtp]
url = "smtps://localhost:1"
from = "Contoso <guests@contoso.example>"
reply_to = "it@contoso.example"
"""
CONNECTION = """
[connections.contoso]
tenant_id = "contoso.example"
client_id = "a"
client_secret = "env:NOT_NEEDED"
"""


@pytest.fixture
def mailing(bare_place: Place) -> Place:
    """A place whose connection mails through a server; no stack is started for a preview."""
    bare_place.env["USHER_CONFIG"] = bare_place.write("usher.toml", CONNECTION + SMTP)
    return bare_place


def test_a_preview_shows_the_mail_of_a_lists_first_good_row(mailing: Place) -> None:
    """In the row's language, or the one that is asked for."""
    path = mailing.write(
        "list.csv", "email,display_name,message,language\nx,,,\nada@partner.example,Ada,A bridge.,fr\n"
    )
    done = mailing.usher("mail", "preview", path, "-c", "contoso")
    assert done.status == 0, done.err
    assert done.out.startswith(
        "From: Contoso <guests@contoso.example>\nReply-To: it@contoso.example\nTo: Ada <ada@partner.example>\n"
        "Subject: Contoso vous invite\nTemplate: invite.fr\n\nBonjour Ada,\n"
    )
    assert "A bridge." in done.out
    told = mailing.usher("mail", "preview", path, "-c", "contoso", "--language", "de-AT", "--json").json
    assert (told["template"], told["subject"]) == ("invite.de", "Contoso lädt Sie ein")
    assert "<html" in told["html"]


def test_a_preview_is_written_as_a_browser_or_a_mail_program_opens_it(mailing: Place) -> None:
    """HTML, text, or the whole message."""
    for name, start in (("m.html", b"<!doctype html>"), ("m.txt", b"Hello,"), ("m.eml", b"From: Contoso <guests@")):
        path = mailing.folder / name
        done = mailing.usher("mail", "preview", "ada@partner.example", "-c", "contoso", "-o", str(path))
        assert (done.status, done.out) == (0, "")
        assert path.read_bytes().startswith(start)
        assert path.stat().st_mode & 0o777 == 0o600
    message = message_from_bytes((mailing.folder / "m.eml").read_bytes(), policy=policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_a_preview_of_a_mailbox_shows_what_a_mailbox_sends(mailing: Place) -> None:
    """One body, and none of the headers that Graph does not take."""
    path = mailing.folder / "box.eml"
    box = {
        "USHER_CONNECTIONS__CONTOSO__DELIVER": "mailbox",
        "USHER_CONNECTIONS__CONTOSO__MAILBOX": "in@contoso.example",
    }
    ask = ("mail", "preview", "ada@partner.example", "-c", "contoso", "-o", str(path))
    assert mailing.usher(*ask, **box).status == 0
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert message.get_content_type() == "text/html"
    assert "Subject" in message
    assert [name for name in ("Auto-Submitted", "List-Unsubscribe", "Message-ID") if name in message] == []


def test_what_cannot_be_shown_is_one_sentence(mailing: Place) -> None:
    """A template that is wrong, a language that is none, a connection without a sender."""
    folder = mailing.folder / "texts"
    folder.mkdir()
    (folder / "invite.txt").write_text("Hi {{ nmae }}\n\nx\n")
    ask = ("mail", "preview", "ada@partner.example", "-c", "contoso")
    for more, env, words in (
        ((), {"USHER_MAIL__TEMPLATES": str(folder)}, "The template invite.txt cannot be used ('nmae' is undefined)"),
        (("--language", "zz"), {}, "'zz' is no language tag"),
        (("-o", "mail.doc"), {}, "A mail is written as .html, .txt or .eml."),
    ):
        done = mailing.usher(*ask, *more, **env)
        assert (done.status, done.out) == (2, "")
        assert words in done.err
    mailing.write("usher.toml", CONNECTION)
    assert "set `from` in [smtp]" in mailing.usher(*ask).err
    assert "its `deliver` is graph" in mailing.usher("mail", "test", "ada@partner.example", "-c", "contoso").err


@pytest.mark.parametrize("deliver", ["smtp", "mailbox"])
def test_a_test_mail_takes_the_whole_way(place: Place, deliver: str) -> None:
    """Through the mail server or the mailbox, in the language asked for; nobody is invited."""
    ready = json.loads((place.folder / "sandbox.json").read_text())
    smtp = ready["smtp"]
    env = {
        "USHER_CONNECTIONS__CONTOSO__DELIVER": deliver,
        "USHER_CONNECTIONS__CONTOSO__MAILBOX": "invites@contoso.example",
        "USHER_SMTP__URL": f"smtp+starttls://{smtp['user']}@{smtp['host']}:{smtp['starttls_port']}",
        "USHER_SMTP__PASSWORD": f"file:{smtp['password_file']}",
        "USHER_SMTP__FROM": "Contoso <guests@contoso.example>",
    }
    ask = ("mail", "test", f"{deliver}@partner.example", "-c", "contoso", "--language", "es", "--json")
    done = place.usher(*ask, **env)
    assert (done.status, done.json["sent"]) == (0, True), done.err
    wrong = place.usher(*ask, **(env | _broken(place, deliver)))
    assert (wrong.status, wrong.json["sent"]) == (1, False)
    assert ("smtp.password" if deliver == "smtp" else "`mailbox`") in wrong.json["message"]


def _broken(place: Place, deliver: str) -> dict[str, str]:
    if deliver == "mailbox":
        return {"USHER_CONNECTIONS__CONTOSO__MAILBOX": "nobody@contoso.example"}
    return {"USHER_SMTP__PASSWORD": f"file:{place.write('wrong', 'not-it')}"}
