"""Results in every form that can be asked for: beside the admin's own list, for Excel."""

from __future__ import annotations

import csv
import gc
import io
import json
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from tasks.errors import OutputError
from tasks.lists.earlier_results import JOINED_COLUMNS
from tasks.lists.guest_list import open_list
from tasks.lists.options import ListOptions
from tasks.results.write import Wanted, write_results
from tasks.rows.fields import RESULT_COLUMNS
from tasks.rows.row import BadRow, ValidRow
from tests.lists.exports import ANN, EXPORTS, JOERG, ZOE, Export

Outcome = dict[str, Any]


def outcome(row: ValidRow | BadRow) -> Outcome:
    """Return what the ledger would hold of a row."""
    if isinstance(row, BadRow):
        told = {
            "email": row.email,
            "status": "failed",
            "error_code": "invalid_row",
            "error_message": f"Not sent: {row}.",
        }
    else:
        told = {"email": row.row["email"], "status": "invited", "user_id": f"id-{row.number}", "error_message": "=1+1"}
    return {**dict.fromkeys(RESULT_COLUMNS, ""), "attempts": 1, "row": row.number, **told}


def job(path: Path, options: ListOptions) -> list[Outcome]:
    """Return the outcomes of a list's job."""
    with open_list(path, options=options) as guests:
        return [outcome(row) for row in guests.rows()]


def fetch(outcomes: list[Outcome]) -> Callable[[], Iterator[Outcome]]:
    """Return what gives them as the ledger does."""
    return lambda: iter(outcomes)


def saved(folder: Path, data: bytes, name: str = "list") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(data)
    return path


def bare(row: ValidRow | BadRow) -> tuple[int, Any]:
    """Return what two readings of a list must have in common."""
    return (row.number, row.row if isinstance(row, ValidRow) else (row.column, row.email))


@pytest.mark.parametrize("file_format", ["", "csv", "xlsx"])
@pytest.mark.parametrize("export", [e for e in EXPORTS if e.rows and not e.asked], ids=lambda e: e.name)
def test_a_joined_list_is_read_as_the_list_itself(tmp_path: Path, export: Export, file_format: str) -> None:
    """Whatever the list was, it comes back with every outcome, and as a list it is the same, twice
    over.
    """
    path = saved(tmp_path, export.data)
    outcomes = job(path, export.options)
    with open_list(path, options=export.options) as guests:
        rows, kind = list(guests.rows()), guests.format
    if kind == "jsonl" and file_format:
        return
    options = export.options
    for target in (tmp_path / "once", tmp_path / "twice"):
        written = write_results(Wanted(file_format, target, join=path, options=options), fetch(outcomes))
        assert (written.rows, written.left_over) == (len(rows), 0)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        if file_format not in ("", kind):  # what was said about a CSV does not hold for a workbook
            options = ListOptions(mapping=options.mapping, hidden="skip", header_line=options.header_line)
        with open_list(target, options=options) as guests:
            assert [bare(row) for row in guests.rows()] == [bare(row) for row in rows]
            assert guests.is_result
        path, kind = target, file_format or kind


def test_a_list_comes_back_in_its_own_way(tmp_path: Path) -> None:
    """Titles, empty lines, own columns, separator, encoding and line ends stay; a formula of theirs
    is escaped, a telephone number not.
    """
    data = f"Gäste;;\r\n\r\nE-Mail;Tel.;Notiz;\r\n{ZOE};+49 (0)89 1;=1+1;;\r\n;;;\r\n{ANN}\r\n".encode("cp1252")
    path, target = saved(tmp_path, data), tmp_path / "out.csv"
    write_results(Wanted(output=target, join=path), fetch(job(path, ListOptions())))
    joined = ";".join(JOINED_COLUMNS)
    assert target.read_bytes().decode("cp1252") == (
        f"Gäste;;\r\n\r\nE-Mail;Tel.;Notiz;{joined}\r\n"
        f"{ZOE};+49 (0)89 1;'=1+1;invited;id-1;;;;;'=1+1;;1;\r\n;;;\r\n{ANN};;;invited;id-2;;;;;'=1+1;;1;\r\n"
    )


def test_only_some_rows_of_a_list(tmp_path: Path) -> None:
    """Titles and headings stay, so that it can be fed back."""
    path, target = saved(tmp_path, f"T,\nemail,x\n{ANN},1\n\nnonsense,2\n".encode()), tmp_path / "failed.csv"
    written = write_results(Wanted(output=target, join=path, only=("failed",)), fetch(job(path, ListOptions())))
    assert written.rows == 1
    assert [line.split(",")[0] for line in target.read_text().splitlines()] == ["T", "email", "nonsense"]


def test_a_list_that_was_sorted_since_is_matched_by_address(tmp_path: Path) -> None:
    """Repeated addresses in their order; a new guest has no outcome, and a lost one is counted."""
    path = saved(tmp_path, f"email,n\n{ANN},1\n{JOERG},2\n{ANN.upper()},3\nx@y.example,4\n".encode())
    outcomes = job(path, ListOptions())
    outcomes[2] |= {"status": "skipped"}
    path.write_text(f"email,n\nnew@y.example,0\n{JOERG},2\n{ANN.upper()},3\n{ANN},1\n")
    target = tmp_path / "out.csv"
    written = write_results(Wanted(output=target, join=path), fetch(outcomes))
    assert (written.rows, written.left_over) == (4, 1)
    with target.open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["", "invited", "invited", "skipped"]


def test_another_list_is_refused(tmp_path: Path) -> None:
    """Nothing is written beside it."""
    path = saved(tmp_path, b"email\nx@y.example\n")
    outcomes = job(path, ListOptions())
    path.write_text("email\nz@y.example\n")
    with pytest.raises(OutputError, match="this is another list"):
        write_results(Wanted(output=tmp_path / "out", join=path), fetch(outcomes))
    assert not (tmp_path / "out").exists()


def test_a_forgotten_person_keeps_the_place(tmp_path: Path) -> None:
    """The ledger has no address of theirs any more; the order tells."""
    path, target = saved(tmp_path, f"email\n{ANN}\n{ZOE}\n".encode()), tmp_path / "out.csv"
    outcomes = job(path, ListOptions())
    outcomes[0]["email"] = ""
    assert write_results(Wanted(output=target, join=path), fetch(outcomes)).rows == 2


def test_a_workbook_comes_back_as_it_was(tmp_path: Path) -> None:
    """Its other cells, merged ones, formulas and sheets; the outcomes stand beside the rows, as
    text.
    """
    export = next(e for e in EXPORTS if e.name == "workbook, kinds of cells")
    path, target = saved(tmp_path, export.data, "list.xlsx"), tmp_path / "out.xlsx"
    write_results(Wanted(output=target, join=path), fetch(job(path, ListOptions())))
    sheet: Any = load_workbook(target).active
    assert sheet["E2"].value == "=A1"
    assert sheet["D2"].is_date
    assert [cell.value for cell in sheet[1]][6:] == list(JOINED_COLUMNS)
    assert (sheet["G2"].value, sheet["H2"].value, sheet["M2"].value) == ("invited", "id-1", "'=1+1")
    assert sheet["M2"].data_type == "s"
    assert sheet["G3"].value == "failed"


def test_a_name_that_ends_in_jsonl_means_it(tmp_path: Path) -> None:
    """As a name that ends in xlsx means a workbook; a format that was given wins."""
    target = tmp_path / "out.jsonl"
    told = outcome(ValidRow(1, 2, {"email": ANN}))
    write_results(Wanted(output=target), fetch([told]))
    assert [json.loads(line)["email"] for line in target.read_text().splitlines()] == [ANN]
    write_results(Wanted("csv", target), fetch([told]))
    assert target.read_text().startswith("row,email")


def test_a_workbook_of_results(tmp_path: Path) -> None:
    """Numbers are numbers, text is text, and what XML cannot hold does not end it; the ending of
    the name says what is meant.
    """
    target = tmp_path / "out.xlsx"
    told = outcome(ValidRow(1, 2, {"email": ANN}))
    write_results(Wanted(output=target), fetch([{**told, "display_name": "=A\x0b", "ref": "7"}]))
    sheet: Any = load_workbook(target).active
    assert [cell.value for cell in sheet[1]] == list(RESULT_COLUMNS)
    assert [cell.value for cell in sheet[2]][:5] == [1, ANN, "'=A\ufffd", "7", "invited"]
    with open_list(target) as guests:
        assert [row.row for row in guests.rows() if isinstance(row, ValidRow)] == [
            {"email": ANN, "display_name": "=A\ufffd", "ref": "7"}
        ]


def test_a_workbook_that_is_given_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half file, no temporary one, and no complaint of the library's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def rows() -> Iterator[dict[str, Any]]:
        yield outcome(ValidRow(1, 2, {"email": ANN}))
        raise OutputError("Another list.")

    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with pytest.raises(OutputError):
        write_results(Wanted(output=tmp_path / "out.xlsx"), rows)
    gc.collect()
    assert complaints == []
    assert list(tmp_path.iterdir()) == []


def test_a_jsonl_list_keeps_its_keys(tmp_path: Path) -> None:
    """Each object as it was, with the outcome in it; a line that is none stays."""
    lines = [{"mail": ANN, "deep": {"a": [1]}}, {"mail": "nonsense"}]
    data = "\n".join(map(json.dumps, lines)).encode() + b"\n[1]\n"
    path, target = saved(tmp_path, data), tmp_path / "out"
    write_results(Wanted(output=target, join=path), fetch(job(path, ListOptions())))
    got = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(line.get("mail"), line["status"]) for line in got] == [
        (ANN, "invited"),
        ("nonsense", "failed"),
        (None, "failed"),
    ]
    assert got[0]["deep"] == {"a": [1]}
    with pytest.raises(OutputError, match="comes back as JSONL"):
        write_results(Wanted("csv", target, join=path), fetch([]))


def test_a_list_with_columns_is_no_jsonl(tmp_path: Path) -> None:
    """Nor does it become one."""
    path = saved(tmp_path, b"email\nx@y.example\n")
    with pytest.raises(OutputError, match="JSONL has none"):
        write_results(Wanted("jsonl", tmp_path / "x", join=path), fetch([]))


def test_a_row_with_a_stray_quotation_mark_comes_back(tmp_path: Path) -> None:
    """It is a bad row, and none of it is lost."""
    path, target = saved(tmp_path, f'email,n\n{ANN},"a "b" c"\n{ZOE},1\n'.encode()), tmp_path / "out.csv"
    write_results(Wanted(output=target, join=path), fetch(job(path, ListOptions())))
    rows = list(csv.reader(io.StringIO(target.read_text())))
    assert rows[1][0] == ANN
    assert [row[2] for row in rows[1:]] == ["failed", "invited"]
    assert rows[1][-1] == f'{ANN},"a "b" c"'
    with open_list(target) as guests:
        assert [isinstance(row, BadRow) for row in guests.rows()] == [True, False]
