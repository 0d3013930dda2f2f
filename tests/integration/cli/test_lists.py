"""The admin's own list through the real command: recognised, asked about, refused; and back again
with its outcomes beside it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from tests.lists.exports import EXPORTS, sheet
from tests.places import Place, Typist


def export(name: str) -> bytes:
    """Return an export of the collection."""
    return next(export.data for export in EXPORTS if export.name == name)


def test_the_plan_says_how_the_list_was_read(place: Place) -> None:
    """Kind, encoding, line of headings, columns, and a sample with the names first that a wrong
    encoding would spoil.
    """
    lines = "Gäste;;\nVorname;Nachname;E-Mail\nAnn;Lee;ann@lists.example\nJörg;Weiß;joerg@lists.example\n"
    path = place.write("guests.csv", lines.encode("cp1252"))
    done = place.usher("invite", path, "-c", "sandbox")
    assert done.status == 0
    assert "CSV with semicolons, Windows-1252, headings in line 2" in done.err
    assert "email from “E-Mail”" in done.err
    assert "Ann Lee <" not in done.err, "people's names are not for a log"
    typist = Typist(place, "invite", path, "-c", "sandbox", "--dry-run")
    shown = typist.end().out
    assert shown.index("Jörg Weiß <joerg@lists.example>") < shown.index("Ann Lee <ann@lists.example>")


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
    """More than 5 % and more than are shown one by one; what was read is shown, and --accept-bad
    goes on.
    """
    text = "email\n" + "".join(f"good{n}@bad{good}.example\n" for n in range(good)) + "nonsense\n" * bad
    path = place.write("bad.csv", text)
    done = place.usher("invite", path, "-c", "sandbox", "--dry-run")
    assert done.status == status
    if status == 2:
        assert f"{bad} of {good + bad} rows cannot be sent, 5 %" in done.err
        assert "Read as  CSV" in done.err
        assert place.usher("invite", path, "-c", "sandbox", "--dry-run", "--accept-bad").status == 1


def test_a_cell_that_cannot_be_used_costs_no_row_unless_it_is_strict(place: Place) -> None:
    """The guest is invited without it and it is told; `--strict` sends nothing, for it as for a
    cell beyond the headings.
    """
    unusable = place.write("cells.csv", "email,language\nann@cells.example,-\n")
    done = place.usher("invite", unusable, "-c", "sandbox", "--strict")
    assert (done.status, "--strict was given; nothing was sent" in done.err) == (2, True), done.err
    done = place.usher("invite", unusable, "-c", "sandbox", "--json")
    assert (done.status, done.job["invited"], "“language”: 1 cell cannot be used" in done.err) == (0, 1, True), done.err
    beyond = place.write("beyond.csv", "email,language\nbob@cells.example,de,x\n")
    assert place.usher("invite", beyond, "-c", "sandbox", "--strict").status == 2
    done = place.usher("invite", beyond, "-c", "sandbox", "--json")
    assert (done.status, "1 row has more cells than the headings name" in done.err) == (0, True), done.err


def test_results_move_no_cursor_of_a_terminal(place: Place) -> None:
    """What stood in a cell is shown harmless, with the outcomes beside the list too; a pipe gets it
    as it was.
    """
    path = place.write("escape.csv", "email,ref\nann@escape.example,1\n\x1b]0;x\x07\x9bno,2\n")
    job = place.usher("invite", path, "-c", "sandbox", "--json").job["job"]
    for arguments in (("jobs", "results", job), ("jobs", "results", job, "--join", path), ("jobs", "show", job)):
        shown = Typist(place, *arguments).end().out
        assert "�]0;x" in shown, arguments
        assert not {"\x1b", "\x07", "\x9b"} & set(shown), arguments
    assert "\x1b]0;x\x07\x9bno" in place.usher("jobs", "results", job).out


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


RETURNED = (
    "Partner Süd;;;\r\nName;E-Mail;Notiz;Tel.\r\nZoë Groß;zoe@back.example;=1+1;+49 1\r\n;;;\r\nJörg;nonsense;x\r\n"
    "Ruth;ruth@blocked.example;;\r\nZoë;ZOE@back.example;;\r\n"
).encode("cp1252")


def statuses(path: Path) -> list[tuple[str, str]]:
    """Return the address and status of every guest in a joined list."""
    lines = path.read_bytes().decode("cp1252").split("\r\n")
    return [(row["E-Mail"], row["status"]) for row in csv.DictReader(lines[1:], delimiter=";") if row["E-Mail"]]


def test_their_file_comes_back_and_goes_in_again(place: Place) -> None:
    """Round trip: the list with its outcomes beside it, whole and only what failed, is a list like
    the first one.
    """
    path = place.write("back.csv", RETURNED)
    first = place.usher("invite", path, "-c", "sandbox", "--json").job
    assert (first["rows"], first["invited"], first["skipped"], first["failed"]) == (4, 1, 1, 2)
    wanted = [
        ("zoe@back.example", "invited"),
        ("nonsense", "failed"),
        ("ruth@blocked.example", "failed"),
        ("ZOE@back.example", "skipped"),
    ]
    joined = place.folder / "joined.csv"
    done = place.usher("jobs", "results", first["job"], "--join", path, "-o", str(joined))
    assert (done.status, "4 rows written" in done.err) == (0, True), done.err
    assert statuses(joined) == wanted
    assert joined.stat().st_mode & 0o777 == 0o600
    text = joined.read_bytes().decode("cp1252")
    assert text.startswith("Partner Süd;;;\r\nName;E-Mail;Notiz;Tel.;status;")
    assert "Zoë Groß;zoe@back.example;'=1+1;+49 1;invited;" in text

    again = place.usher("invite", str(joined), "-c", "sandbox", "--json").job
    assert (again["rows"], again["skipped"], again["failed"]) == (4, 2, 2)  # usher invited her itself, and knows
    done = place.usher("jobs", "results", again["job"], "--join", str(joined), "-o", str(joined))
    assert statuses(joined) == [("zoe@back.example", "skipped"), *wanted[1:]]
    headings = joined.read_bytes().decode("cp1252").splitlines()[1].split(";")
    assert len(set(headings)) == len(headings)

    failed = place.folder / "failed.csv"
    place.usher("jobs", "results", first["job"], "--join", path, "--only", "failed", "-o", str(failed))
    assert statuses(failed) == wanted[1:3]
    assert place.usher("invite", str(failed), "-c", "sandbox", "--json").job["failed"] == 2
    for file_format in ("csv", "xlsx", "jsonl"):
        target = str(place.folder / f"only.{file_format}")
        done = place.usher("jobs", "results", first["job"], "--only", "failed", "--format", file_format, "-o", target)
        assert done.status == 0
        told = place.usher("invite", target, "-c", "sandbox", "--json")
        assert (told.status, told.job["rows"], told.job["failed"]) == (1, 2, 2)


def some_hidden(first: Worksheet) -> None:
    """Three guests, the second hidden."""
    for row in (["E-Mail"], ["h1@back.example"], ["h2@back.example"], ["h3@back.example"]):
        first.append(row)
    first.row_dimensions[3].hidden = True


def test_a_workbook_comes_back_as_one(place: Place) -> None:
    """Read as it was then: the hidden row that was left out has no outcome, and nobody is asked
    again.
    """
    path = place.write("hidden.xlsx", sheet(some_hidden))
    job = place.usher("invite", path, "-c", "sandbox", "--hidden", "skip", "--json").job
    expected = ["invited", None, "invited"]
    target = place.folder / "back.xlsx"
    done = place.usher("jobs", "results", job["job"], "--join", path, "-o", str(target))
    assert done.status == 0, done.err
    back: Any = load_workbook(target).active
    assert [back.cell(row, 2).value for row in range(1, 5)] == ["status", *expected]
    assert back.row_dimensions[3].hidden
    again = place.usher("invite", str(target), "-c", "sandbox", "--hidden", "skip", "--json").job
    assert (again["rows"], again["skipped"]) == (2, 2)


def test_results_that_cannot_be_are_one_sentence(place: Place) -> None:
    """Options that do not go together, a list that is another one, a list that is none."""
    path = place.write("r.csv", "email\nr@one.example\n")
    job = place.usher("invite", path, "-c", "sandbox", "--json").job["job"]
    for arguments, words in (
        (("--format", "xlsx"), "needs -o FILE"),
        (("--map", "email=x"), "only be said with --join"),
        (("--join", place.write("s.csv", "email\nx@y.example\n")), "this is another list"),
        (("--join", "/nowhere.csv"), "does not exist"),
        (("--join", path, "--format", "jsonl"), "JSONL has none"),
    ):
        done = place.usher("jobs", "results", job, *arguments)
        assert (done.status, words in done.err) == (2, True), done.err
        assert done.out == ""
    done = place.usher("jobs", "results", job, "--json")
    assert (done.status, "--format jsonl" in done.json["error"]) == (2, True)


FORESEEN = (
    "Partner Süd;;;\r\nName;E-Mail;Notiz;Tel.\r\nZoë Groß;zoe@would.example;=1+1;+49 1\r\n;;;\r\nJörg;nonsense;x\r\n"
    "Ruth;ruth@blocked.example;;\r\nZoë;ZOE@would.example;;\r\n"
).encode("cp1252")


def test_a_dry_run_gives_the_list_back_with_what_would_become_of_it(place: Place) -> None:
    """Its own titles, columns, separator and encoding; what an earlier dry run wrote is replaced;
    and it is a list again.
    """
    path, out = place.write("own.csv", FORESEEN), place.folder / "would.csv"
    for source in (path, str(out)):
        done = place.usher("invite", source, "-c", "sandbox", "--dry-run", "-o", str(out))
        assert done.status == 1, done.err
        lines = out.read_bytes().decode("cp1252").split("\r\n")
        assert lines[:3] == [
            "Partner Süd;;;",
            "Name;E-Mail;Notiz;Tel.;would;why;profile_would;profile_why;mail_would;mail_why",
            "Zoë Groß;zoe@would.example;'=1+1;+49 1;invite;;do;;do;",
        ]
        assert [row["would"] for row in csv.DictReader(lines[1:], delimiter=";") if row["E-Mail"]] == [
            "invite", "refuse", "refuse", "skip",
        ]  # fmt: skip
    assert out.stat().st_mode & 0o777 == 0o600
    done = place.usher("invite", "-", "-c", "sandbox", "--dry-run", "-o", str(out), text=FORESEEN.decode("cp1252"))
    assert out.read_bytes().decode().split("\r\n") == lines, done.err


def test_a_dry_run_writes_a_workbook_where_the_name_says_so(place: Place) -> None:
    """A new one from a CSV, the admin's own from a workbook, one of usher's fields from addresses;
    each can be invited.
    """
    sources = {
        "a.xlsx": [place.write("own.csv", FORESEEN)],
        "b.xlsx": [place.write("own.xlsx", export("workbook, titles and groups of columns"))],
        "c.xlsx": ["ann@would.example", "bob@would.example"],
    }
    shown = {}
    for name, source in sources.items():
        out = place.folder / name
        done = place.usher("invite", *source, "-c", "sandbox", "--dry-run", "-o", str(out))
        assert done.status in (0, 1), done.err
        first = load_workbook(out).active
        assert isinstance(first, Worksheet)
        shown[name] = [list(row) for row in first.iter_rows(values_only=True)]
        assert place.usher("invite", str(out), "-c", "sandbox", "--dry-run").status == done.status
    assert shown["a.xlsx"][1:3] == [
        ["Name", "E-Mail", "Notiz", "Tel.", "would", "why", "profile_would", "profile_why", "mail_would", "mail_why"],
        ["Zoë Groß", "zoe@would.example", "'=1+1", "+49 1", "invite", None, "do", None, "do", None],
    ]
    assert shown["b.xlsx"][4][:6] == ["Vorname", "Nachname", "E-Mail", "Telefon", "would", "why"]
    assert shown["b.xlsx"][5][3] == 4915112345
    assert shown["b.xlsx"][5][4] in ("invite", "skip")  # a test before this one may have invited them
    assert shown["c.xlsx"][:2] == [
        ["row", "email", "would", "why", "mail_would", "mail_why"],
        [1, "ann@would.example", "invite", None, "do", None],
    ]


def test_a_dry_run_of_json_lines_keeps_their_keys_and_can_be_a_table(place: Place) -> None:
    """And a list with columns can be JSON lines of usher's fields."""
    source = place.write("own.jsonl", '{"mail": "ann@would.example", "Team": [1], "groups": ["a@b.example"]}\n')
    out = place.folder / "would.jsonl"
    assert place.usher("invite", source, "-c", "sandbox", "--dry-run", "-o", str(out)).status == 0
    told = {"mail": "ann@would.example", "Team": [1], "groups": ["a@b.example"], "would": "invite", "why": ""}
    why = "There is no group “a@b.example” in this tenant: check the name, or give the id."
    told |= {"groups_would": "refuse", "groups_why": why, "mail_would": "do", "mail_why": ""}
    assert json.loads(out.read_text()) == told
    table = place.folder / "table.csv"
    assert place.usher("invite", source, "-c", "sandbox", "--dry-run", "-o", str(table)).status == 0
    assert table.read_text().splitlines() == [
        "row,email,groups,would,why,groups_would,groups_why,mail_would,mail_why",
        f'1,ann@would.example,a@b.example,invite,,refuse,"{why}",do,',
    ]
    own = place.write("own.csv", "E-Mail;Team\nann@would.example;x\n")
    assert place.usher("invite", own, "-c", "sandbox", "--dry-run", "-o", str(out)).status == 0
    plain = {"row": 1, "email": "ann@would.example", "would": "invite", "why": "", "mail_would": "do", "mail_why": ""}
    assert json.loads(out.read_text()) == plain


def test_a_file_that_cannot_be_written_is_told_before_the_tenant_is_asked(place: Place) -> None:
    """One sentence, status 2."""
    path = place.write("own.csv", FORESEEN)
    done = place.usher("invite", path, "-c", "sandbox", "--dry-run", "-o", str(place.folder / "no" / "would.csv"))
    assert (done.status, "cannot be written" in done.err) == (2, True), done.err
