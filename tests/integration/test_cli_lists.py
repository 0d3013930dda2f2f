"""The admin's own list through the real command: recognised, asked about, refused; and back again with its outcomes beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.test_cli import Place, Typist, _make_place
from tests.lists.exports import EXPORTS


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """One stack for the module."""
    with _make_place("10") as made:
        yield made


def export(name: str) -> bytes:
    """Return an export of the collection."""
    return next(export.data for export in EXPORTS if export.name == name)


def test_the_plan_says_how_the_list_was_read(place: Place) -> None:
    """Kind, encoding, line of headings, columns, and a sample with the names first that a wrong encoding would spoil."""
    lines = "Gäste;;\nVorname;Nachname;E-Mail\nAnn;Lee;ann@lists.example\nJörg;Weiß;joerg@lists.example\n"
    done = place.usher("invite", place.write("guests.csv", lines.encode("cp1252")), "-c", "sandbox")
    assert done.status == 0
    assert "CSV with semicolons, Windows-1252, headings in line 2" in done.err
    assert "email from “E-Mail”" in done.err
    assert done.err.index("Jörg Weiß <joerg@lists.example>") < done.err.index("Ann Lee <ann@lists.example>")


def test_an_excel_workbook_is_a_list(place: Place) -> None:
    """From a file and from standard input."""
    path = place.write("guests.xlsx", export("workbook, titles and groups of columns"))
    done = place.usher("invite", path, "-c", "sandbox", "--json")
    assert (done.status, done.job["rows"], done.job["failed"]) == (0, 2, 0)


def test_an_ambiguity_is_status_2_without_a_terminal(place: Place) -> None:
    """The sentence names the options that decide, and each of them does."""
    path = place.write("two.csv", export("two e-mail columns"))
    done = place.usher("invite", path, "-c", "sandbox", "--json")
    assert done.status == 2
    assert "--map email='E-Mail geschäftlich' or --map email='E-Mail privat'" in done.json["error"]
    done = place.usher("invite", path, "-c", "sandbox", "--json", "--map", "email=E-Mail privat")
    assert (done.status, done.job["rows"]) == (0, 1)
    done = place.usher("invite", place.write("h.xlsx", export("workbook, filtered")), "-c", "sandbox", "--json")
    assert (done.status, "--hidden include" in done.json["error"]) == (2, True)
    done = place.usher(
        "invite", place.write("h.xlsx", export("workbook, filtered")), "-c", "sandbox", "--json", "--hidden", "skip"
    )
    assert done.job["rows"] == 1


def test_an_ambiguity_is_a_question_on_a_terminal(place: Place) -> None:
    """One number answers it; anything else ends the command with nothing sent."""
    path = place.write("two.csv", export("two e-mail columns"))
    typist = Typist(place, "invite", path, "-c", "sandbox")
    asked = typist.read_until("nothing to stop:")
    assert "1  “E-Mail geschäftlich”" in asked
    assert "2  “E-Mail privat”" in asked
    typist.type("2\n")
    done = typist.end()
    assert done.status == 0
    assert "a@home.example" in done.out
    typist = Typist(place, "invite", path, "-c", "sandbox")
    typist.read_until("nothing to stop:")
    typist.type("\n")
    done = typist.end()
    assert done.status == 2
    assert "nothing was sent" in done.out


@pytest.mark.parametrize(("good", "bad", "status"), [(5, 3, 1), (380, 20, 1), (379, 21, 2), (500, 21, 1)])
def test_many_bad_rows_stop_a_list_and_few_do_not(place: Place, good: int, bad: int, status: int) -> None:
    """More than 5 % and more than are shown one by one; what was read is shown, and --accept-bad goes on."""
    text = "email\n" + "".join(f"good{n}@bad{good}.example\n" for n in range(good)) + "nonsense\n" * bad
    path = place.write("bad.csv", text)
    done = place.usher("invite", path, "-c", "sandbox", "--dry-run")
    assert done.status == status
    if status == 2:
        assert f"{bad} of {good + bad} rows cannot be sent, 5 %" in done.err
        assert "good0@bad" in done.err
        assert place.usher("invite", path, "-c", "sandbox", "--dry-run", "--accept-bad").status == 1


def test_options_that_make_no_sense_are_one_sentence(place: Place) -> None:
    """Nothing is opened for them."""
    path = place.write("g.csv", "email\nann@lists.example\n")
    for option, value, words in (
        ("--map", "email", "as in --map email="),
        ("--map", "mail=x", "knows no such field"),
        ("--map", "email=", "names no column"),
        ("--delimiter", "ab", "another single sign"),
        ("--encoding", "klingon", "does not know"),
    ):
        done = place.usher("invite", path, "-c", "sandbox", option, value)
        assert (done.status, words in done.err) == (2, True), done.err
