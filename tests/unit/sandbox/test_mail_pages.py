"""The pages of received mail: whatever a letter holds, it is shown and never run."""

from __future__ import annotations

from typing import Any

from sandbox.letters import Letter, read_letter
from sandbox.serving.mail_pages import mail_list, mail_page
from sandbox.serving.pages import overview

BASE = "https://127.0.0.1:1"
EVIL = "<script>alert('x')</script>"


def _mail(desk: Any, **fields: Any) -> dict[str, Any]:
    letter = Letter(**{"via": "smtp", "sender": "a@contoso.example", **fields})
    desk.world.recorder.letter(None, "guest@partner.example", letter)
    mail: dict[str, Any] = desk.world.recorder.mails[-1]
    return mail


def test_the_list_leads_to_each_letter(desk: Any) -> None:
    """Newest first, the overview's too."""
    first, second = _mail(desk, subject="First"), _mail(desk, subject="Second")
    for shown in (mail_list(reversed([first, second]), 2), overview(desk.world)):
        assert shown.index("Second") < shown.index("First")
        assert 'href="/mails/1"' in shown
        assert "guest@partner.example" in shown
    assert "No letters yet" in mail_list([], 0)


def test_nothing_of_a_letter_runs(desk: Any) -> None:
    """Script in any field is text; the HTML part lies in a frame that may do nothing."""
    mail = _mail(
        desk, subject=EVIL, sender=EVIL, text=EVIL, html=f"<p>{EVIL}</p>\"'>", headers=((EVIL, EVIL),), cc=(EVIL,)
    )
    status, shown = mail_page(mail, BASE)
    assert status == 200
    assert "<script" not in shown
    assert shown.count('<iframe sandbox="" ') == 1
    assert "<script" not in mail_list([mail], 1)


def test_the_redeem_link_can_be_followed(desk: Any) -> None:
    """From text and from HTML, once; a link that leads elsewhere is not made one."""
    own = f"{BASE}/redeem?tenant=1&user=2&ticket=3"
    html = f'<a href="{own.replace("&", "&amp;")}">Accept</a> <a href="https://evil.example/redeem?x">x</a>'
    shown = mail_page(_mail(desk, text=f"Accept: {own}", html=html), BASE)[1]
    assert shown.count(f'<a href="{own.replace("&", "&amp;")}">') == 1
    assert '<a href="https://evil.example' not in shown


def test_a_letter_that_is_gone(desk: Any) -> None:
    """404 and a way back."""
    status, shown = mail_page(None, BASE)
    assert status == 404
    assert 'href="/mails"' in shown


def test_an_invitation_is_a_letter_too(desk: Any) -> None:
    """Entra's own mail shows its link."""
    desk.invite("new@partner.example", sendInvitationMessage=True)
    mail = desk.world.recorder.mails[-1]
    assert mail["redeem_url"] in mail_page(mail, BASE)[1].replace("&amp;", "&")


def test_odd_messages_are_read(desk: Any) -> None:
    """Neither an unknown charset nor a message without a body is a crash."""
    odd = b"Content-Type: text/plain; charset=odd\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\r\nx\xff"
    assert read_letter(odd, "a@b.example").subject == "Grüße"
    empty = read_letter(b"", "a@b.example")
    assert (empty.sender, empty.text, empty.html) == ("a@b.example", "", "")
