"""The head of a list shows how it is read, however long the list is."""

from __future__ import annotations

import io

import pytest

from tasks.errors import InputError
from tasks.lists.guest_list import GuestList
from tasks.lists.options import ListOptions, parse_said
from tasks.lists.preview import read_preview

LIST = "Name;E-Mail;Ort\r\nZoë Müller;zoe@partner.example;Köln\r\n;not an address;\r\nJan;jan@partner.example;\r\n"


def _open(text: str, encoding: str = "cp1252") -> GuestList:
    return GuestList(io.BytesIO(text.encode(encoding)), "guests.csv")


def test_a_preview_tells_how_a_list_is_read() -> None:
    """Separator, encoding, columns, first rows, and what is wrong, with line and reason."""
    seen = read_preview(_open(LIST))
    assert seen.description == ("CSV with semicolons", "Windows-1252", "headings in line 1")
    assert seen.headings == ("Name", "E-Mail", "Ort")
    assert dict(seen.columns) == {"display_name": "Name", "email": "E-Mail"}
    assert [row.row["email"] for row in seen.first] == ["zoe@partner.example", "jan@partner.example"]
    assert seen.first[0].row["display_name"] == "Zoë Müller"
    assert (seen.rows, seen.whole, seen.bad_count) == (3, True, 1)
    assert (seen.bad[0].line, seen.bad[0].column) == (3, "email")
    assert any("Ort" in warning for warning in seen.warnings)


def test_a_preview_reads_no_more_than_the_head() -> None:
    """A list of any length is shown at once, and the page says that it goes on."""
    seen = read_preview(_open("email\n" + "a@b.example\n" * 50), most_rows=10)
    assert (seen.rows, seen.whole) == (10, False)


def test_options_come_back_as_they_were_said() -> None:
    """What a form carries along reads the list in the same way."""
    options = ListOptions(delimiter=";", mapping={"email": "Mail privat"}, header_line=2)
    assert parse_said(options.to_dict()).to_dict() == options.to_dict()


@pytest.mark.parametrize(
    "said",
    [
        ["email"],
        {"delimiter": ";;"},
        {"delimiter": "a"},
        {"hidden": "maybe"},
        {"header_line": True},
        {"mapping": {"email": 3}},
        {"mapping": {"password": "x"}},
        {"more": "x"},
    ],
)
def test_options_that_usher_never_said_are_refused(said: object) -> None:
    """A form that was tampered with ends in a sentence, not in an error of usher's own."""
    with pytest.raises(InputError):
        parse_said(said)
