"""Tables in terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.ui.terminal import build_facts, build_table

JOB = ("6cqto6ul7j", "contoso", "done", "100", "95", "1", "3", "", "", "2026-11-25 23:24", "guests of the partner.csv")
HEADINGS = ("Job", "Connection", "State", "Rows", "Invited", "Guests", "Failed", "In doubt", "Left", "Since", "List")


def lines(table: object, width: int) -> list[str]:
    """What a terminal of so many columns shows."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table, end="")
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60, 40])
def test_what_is_copied_stays_whole(width: int) -> None:
    """Ids and numbers at any width; a line is never longer than the terminal."""
    shown = lines(build_table(HEADINGS, [JOB, JOB], right=HEADINGS[3:9]), width)
    assert sum(JOB[0] in line for line in shown) == 2
    assert all(len(line) <= width for line in shown)
    words = " ".join(" ".join(shown).split())
    assert "contoso" in words
    assert "2026-11-25 23:24" in words


def test_a_wide_terminal_has_a_table() -> None:
    """One line a row."""
    shown = lines(build_table(HEADINGS, [JOB], right=HEADINGS[3:9]), 140)
    assert len(shown) == 2
    assert shown[0].split() == " ".join(HEADINGS).split()


def test_a_narrow_one_has_a_paragraph_a_row() -> None:
    """Each value after its heading; what is empty is left out."""
    shown = lines(build_table(HEADINGS, [JOB], right=HEADINGS[3:9]), 80)
    assert (
        " ".join(" ".join(shown).split())
        == "6cqto6ul7j Connection contoso · State done · Rows 100 · Invited 95 · Guests 1 · Failed 3 · Since 2026-11-25"
        " 23:24 · List guests of the partner.csv"
    )


def test_only_the_last_column_is_broken() -> None:
    """Where that makes room enough."""
    address, why = "priya.raman@contoso.example", "contoso.example is a domain of this tenant itself."
    shown = lines(build_table(("Row", "Address", "Why"), [("18", address, why)], right=("Row",)), 60)
    assert shown[0].split() == ["Row", "Address", "Why"]
    assert address in shown[1]
    assert len(shown) > 2


def test_facts_stay_two_columns() -> None:
    """They have no headings."""
    shown = lines(build_facts([("Connection", "contoso"), ("SHA-256", "ab" * 32)]), 40)
    assert shown[0].split() == ["Connection", "contoso"]
    assert shown[1].startswith("SHA-256")
