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
from tasks.lists.options import ListOptions
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


@pytest.mark.parametrize("heading", ["conection", "connections", "Connection ID", "conecction"])
def test_a_heading_that_is_nearly_connection_is_a_question(heading: str) -> None:
    """Left out, its rows would go into every chosen tenant."""
    with pytest.raises(Ambiguity, match="may be meant to say through which connection a row goes") as asked:
        parse_headings(["email", heading], "guests.csv")
    fields = [parse_headings(["email", heading], "guests.csv", one.options).fields for one in asked.value.choices]
    assert fields == [("email", "connection"), ("email", None)]


@pytest.mark.parametrize("heading", ["Collection", "Connected on", "Connector", "Kunde"])
def test_other_words_are_left_out_as_ever(heading: str) -> None:
    """With a warning, not a question."""
    assert parse_headings(["email", heading], "guests.csv").ignored == (heading,)


def test_names_of_connections_are_asked_about_under_any_heading() -> None:
    """Where the list goes through several, and no column is `connection` or was left out."""
    rows = [["a@b.example", "Adatum Ltd"], ["c@d.example", "adatum"]]
    options = ListOptions().through(["adatum", "bellows"])
    with pytest.raises(Ambiguity, match=r"a column “Kunde”.*--map connection=Kunde; if not, --map connection= "):
        parse_headings(["email", "Kunde"], "guests.csv", options, rows)
    assert parse_headings(["email", "Kunde"], "guests.csv", ListOptions().through(["adatum"]), rows).ignored
    both = [[*row, "bellows"] for row in rows]
    assert parse_headings(["email", "Kunde", "connection"], "guests.csv", options, both).ignored == ("Kunde",)
    assert options.to_dict() == {}


def test_keys_of_json_are_asked_about_likewise() -> None:
    """By their name, and by the first value."""
    options = ListOptions().through(["adatum", "bellows"])
    for key in ("conection", "Kunde"):
        guests = GuestList(
            io.BytesIO(f'{{"email": "a@b.example", "{key}": "adatum"}}\n'.encode()), "x", options=options
        )
        with pytest.raises(Ambiguity, match=f"a column “{key}”"):
            list(guests.rows())
