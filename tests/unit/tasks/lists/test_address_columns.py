"""Which column holds the addresses, where the headings leave it open: decided by the first rows,
and watched in all of them.
"""

from __future__ import annotations

import io

import pytest

from tasks.lists.address_columns import SAMPLE_ROWS
from tasks.lists.ambiguities import Ambiguity
from tasks.lists.guest_list import GuestList
from tests.lists.exports import ANN, ZOE, sheet

MANY = 3 * SAMPLE_ROWS


def read(data: bytes) -> list[tuple[int, str]]:
    """Return number and address of every row."""
    guests = GuestList(io.BytesIO(data), "list")
    found = [(row.number, getattr(row, "row", {}).get("email", "")) for row in guests.rows()]
    guests.close()
    return found


@pytest.mark.parametrize("headings", ["Name;Contact;Login", "Name;E-Mail privat;E-Mail Firma", "Name;Email 2;Email"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_row_that_speaks_against_the_first_ones_is_a_question(headings: str, kind: str) -> None:
    """However far down it stands: a guest whose address stands in the other column is not lost in
    silence.
    """
    rows = [f"g{n};g{n}@partner.example;" for n in range(MANY)]
    rows[-1] = f"Ann;;{ANN}"
    lines = [line.split(";") for line in (headings, *rows)]
    data = sheet(lines) if kind == "xlsx" else "\n".join((headings, *rows)).encode()
    with pytest.raises(Ambiguity) as caught:
        read(data)
    assert str(caught.value).startswith(f"In line {MANY + 1} another column holds the address than before. list")
    assert {choice.options.mapping["email"] for choice in caught.value.choices} == set(headings.split(";")[1:])
    rows[-1] = f"Ann;{ANN};{ZOE}"  # not lost
    assert read("\n".join((headings, *rows)).encode())[-1] == (MANY, ANN)


def test_addresses_that_begin_far_down_are_found_where_somebody_would_look() -> None:
    """Within the first rows; a column without a heading can be named by its number."""
    rows = "".join(f"g{n};\n" for n in range(100))
    assert read(f"Name;Kontakt\n{rows}Ann;{ANN}\n".encode())[-1] == (101, ANN)
    assert read(f"Name;\nAnn;{ANN}\n".encode()) == [(1, ANN)]
