"""Headings, and what docs/lists.md says about them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.lists.ambiguities import Ambiguity
from tasks.lists.columns import parse_heading, parse_headings
from tasks.lists.guest_list import GuestList
from tasks.rows.fields import FIELDS

PAGE = (Path(__file__).resolve().parents[4] / "docs/lists.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
PROMISED = [
    (field, word.strip())
    for field, words in ROWS
    for word in re.split(r"[,;…]|where there.*|unless.*| and ", words)
    if word.strip()
]


@pytest.mark.parametrize(("field", "heading"), PROMISED, ids=str)
def test_every_heading_of_the_page_is_known(field: str, heading: str) -> None:
    """By itself, in any spelling of its letters."""
    for spelled in (heading, heading.upper(), heading.replace(" ", "_")):
        assert parse_heading(spelled).field == field


def test_the_page_tells_of_names_and_addresses() -> None:
    """The table was found, and is about fields."""
    assert len(PROMISED) > 20
    assert {field for field, _ in PROMISED} <= set(FIELDS)


@pytest.mark.parametrize(
    ("headings", "fields"),
    [
        ("Name,E-Mail", ("display_name", "email")),
        ("Name,Vorname,E-Mail", ("last_name", "first_name", "email")),
        ("Nom,Prénom,Courriel", ("last_name", "first_name", "email")),
        ("Nombre,Apellidos,Correo", ("first_name", "last_name", "email")),
        ("Nombre,Correo", ("display_name", "email")),
        ("Name,Displayname,Mail", (None, "display_name", "email")),
        ("Mail,userPrincipalName", ("email", None)),
        ("email,mail,status", ("email", None, None)),
        ("Mail,Email 2", ("email", None)),
    ],
)
def test_what_a_heading_means_follows_from_its_neighbours(headings: str, fields: tuple[str | None, ...]) -> None:
    """A name is a part of one beside its other part; the best heading for the address is taken."""
    assert parse_headings(headings.split(","), "list").fields == fields


def test_more_columns_than_a_sheet_has_are_refused() -> None:
    """At once, whatever they are called; a JSON object with as many keys is a bad row."""
    with pytest.raises(InputError, match="has more than 16,384 columns in line 1, which Excel itself does not hold"):
        GuestList(io.BytesIO((",".join(["email"] * 16_385) + "\n").encode()), "list")
    many = "{" + ",".join(f'"k{n}": 1' for n in range(16_385)) + "}\n"
    assert [str(row) for row in GuestList(io.BytesIO(many.encode()), "list").rows()] == [
        "line 1: has more than 16,384 keys"
    ]


def test_a_question_offers_no_more_answers_than_somebody_reads() -> None:
    """Thousands of columns of one name took minutes; the others can be named with --map."""
    with pytest.raises(Ambiguity) as caught:
        parse_headings(["email"] * 16_384, "list")
    assert len(caught.value.choices) == 20
