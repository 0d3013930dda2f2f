"""What usher's own mails say."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import MailUnusable
from worker.mail.templates import OURS, candidates, write

KINDS = ("invite", "remind")
LANGUAGES = ("", "de", "fr", "es", "nb")
LINK = "https://login.example/redeem?rd=a&x=1"
VALUES = {
    "name": "Ada Lovelace",
    "email": "ada@partner.example",
    "link": LINK,
    "message": "We build a bridge.\n<b>Together</b>",
    "language": "",
    "organisation": "Contoso & Sons",
    "contact": "it@contoso.example",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_templates_that_come_with_usher(language: str, kind: str) -> None:
    """Each language has subject, text and HTML, with the link, the reason and whom to ask."""
    words = write(kind, language, VALUES)
    assert words.language == language
    assert "Contoso & Sons " in words.subject
    for value in ("Ada Lovelace", "ada@partner.example", LINK, "We build a bridge.\n<b>Together</b>", "it@contoso"):
        assert value in words.text
    assert f'lang="{language or "en"}"' in words.html
    assert 'href="https://login.example/redeem?rd=a&amp;x=1"' in words.html
    assert "&lt;b&gt;Together&lt;/b&gt;" in words.html
    assert "Contoso &amp; Sons" in words.html
    assert "\n\n\n" not in words.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_row_does_not_say_leaves_no_gap(language: str) -> None:
    """Without a name and a reason the mail reads as well."""
    words = write("invite", language, {**VALUES, "name": "", "message": ""})
    for text in (words.text, words.html):
        assert " ," not in text
        assert "None" not in text
    assert "Together" not in words.html


def test_each_text_has_its_html() -> None:
    """And no file is there that nobody reads."""
    names = {path.name for path in OURS.iterdir()}
    stems = {f"{kind}.{tag}" if tag else kind for tag in LANGUAGES for kind in KINDS}
    colleagues = {f"sponsor.{tag}.txt" if tag else "sponsor.txt" for tag in LANGUAGES}  # who read text
    both = (f"{stem}.{kind}" for stem in stems for kind in ("txt", "html"))
    assert names == {"_layout.html", *both, *colleagues}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sponsors_are_told_of_ends(language: str) -> None:
    """Each guest in a line with the day, whom to ask, and no link."""
    guests = "2027-01-31  Ann (ann@partner.example)\n2027-02-28  bo@partner.example"
    words = write("sponsor", language, {**VALUES, "guests": guests, "count": "2"})
    assert words.language == language
    assert f"\n{guests}\n" in words.text
    assert "it@contoso" in words.text
    assert LINK not in words.text
    assert "Contoso & Sons" in words.subject


@pytest.mark.parametrize(
    ("asked", "found"),
    [("de-AT", "de"), ("DE", "de"), ("fr_CA", "fr"), ("no", "nb"), ("nn-NO", "nb"), ("nb", "nb"), ("pt", ""), ("", "")],
)
def test_the_nearest_language(asked: str, found: str) -> None:
    """A region reads its language's text, Norwegians one another's, all others the one for all."""
    assert write("invite", asked, VALUES).language == found


def test_candidates() -> None:
    """The nearest first."""
    assert list(candidates("zh-Hant-TW")) == ["zh-hant-tw", "zh-hant", "zh", ""]


def test_a_folder_of_ones_own_goes_first(tmp_path: Path) -> None:
    """As a whole: one's own text for all goes before usher's German one."""
    (tmp_path / "invite.txt").write_text("Welcome to {{ organisation }}\n\n{{ link }}\n")
    (tmp_path / "invite.DE-at.txt").write_text("Servus\n\n{{ link }}\n")
    words = write("invite", "de", VALUES, str(tmp_path))
    assert (words.subject, words.text, words.html) == ("Welcome to Contoso & Sons", f"{LINK}\n", "")
    assert write("invite", "de-AT", VALUES, str(tmp_path)).subject == "Servus"
    (tmp_path / "invite.html").write_text('{% extends "_layout.html" %}{% block action %}Come in{% endblock %}')
    assert "Come in</a>" in write("invite", "", VALUES, str(tmp_path)).html


def test_a_changed_template_counts_at_once(tmp_path: Path) -> None:
    """Nobody restarts a worker for a comma."""
    path = tmp_path / "invite.txt"
    path.write_text("One\n\n{{ link }}\n")
    assert write("invite", "", VALUES, str(tmp_path)).subject == "One"
    path.write_text("Another\n\n{{ link }}\n")
    assert write("invite", "", VALUES, str(tmp_path)).subject == "Another"


def test_a_subject_is_one_line(tmp_path: Path) -> None:
    """Whatever a row brings, it becomes no second header."""
    (tmp_path / "invite.txt").write_text("For {{ name }}\n\n{{ link }}\n")
    words = write("invite", "", {**VALUES, "name": "Ada\r\nBcc: all@contoso.example\x00"}, str(tmp_path))
    assert words.subject == "For Ada"
    long = write("invite", "", {**VALUES, "name": "A" * 999}, str(tmp_path))
    assert len(long.subject) == 200


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Hello {{ nmae }}\n\nx", "'nmae' is undefined"),
        ("Hello\n\n{% if x %}", "line 3"),
        ("\n\n\n", "has no subject"),
        ("Hello\n\nCome in.", "does not show {{ link }}"),
        ("Hello\n\n{{ link.__class__.__mro__ }}", "unsafe"),
        ("Hello\n\n{{ {}[link] }}", "no attribute '…'"),
        ("Hello\n\n{% include '../../etc/passwd' %}", "passwd"),
        ("Hello\n\n{{ 1 // 0 }}", "zero"),
    ],
)
def test_a_template_that_cannot_be_used(tmp_path: Path, text: str, why: str) -> None:
    """It is a sentence that names file and fault and holds no link; nothing unsafe is reached."""
    (tmp_path / "invite.txt").write_text(text)
    with pytest.raises(MailUnusable) as caught:
        write("invite", "", VALUES, str(tmp_path))
    assert caught.value.is_template
    assert "invite.txt" in str(caught.value)
    assert why in str(caught.value)
    assert "redeem" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is told, rather than passed over: somebody wrote a text that nobody would get."""
    with pytest.raises(MailUnusable, match=r"mail\.templates"):
        write("invite", "", VALUES, str(tmp_path / "none"))


def test_html_without_text(tmp_path: Path) -> None:
    """The subject stands in the text, and some readers have no HTML."""
    (tmp_path / "invite.html").write_text("<p>x</p>")
    with pytest.raises(MailUnusable, match=r"has no invite\.txt beside it"):
        write("invite", "", VALUES, str(tmp_path))
