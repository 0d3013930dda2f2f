"""What of a list cannot be used and costs no row: cells of optional columns, cells beyond the
headings.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tasks.lists.guest_list import GuestList
from tasks.results.write import Wanted, write_results
from tasks.rows.cleaning import LEAVABLE
from tasks.rows.fields import FIELDS, RESULT_COLUMNS
from tasks.rows.row import BadRow, ValidRow
from tests.lists.exports import ANN, JOERG, ZOE, sheet

PAGE = (Path(__file__).resolve().parents[4] / "docs/lists.md").read_text(encoding="utf-8")


def read(text: str | bytes, name: str = "list.csv") -> tuple[GuestList, list[ValidRow | BadRow]]:
    """Read a list to its end."""
    guests = GuestList(io.BytesIO(text.encode() if isinstance(text, str) else text), name, path=name)
    rows = list(guests.rows())
    guests.close()
    return guests, rows


def test_an_optional_cell_that_cannot_be_used_costs_no_row() -> None:
    """The cell is left out, and one warning a column says of how many, where, and why."""
    guests, rows = read(f"E-Mail;language;cc\n{ANN};-;+49 30 1\n{ZOE};de;\n{JOERG};-;{ANN}\n")
    assert rows == [
        ValidRow(1, 2, {"email": ANN}),
        ValidRow(2, 3, {"email": ZOE, "language": "de"}),
        ValidRow(3, 4, {"email": JOERG, "cc": ANN}),
    ]
    assert guests.warnings == (
        (
            "“language”: 2 cells cannot be used as language and are left out: is not a known language tag, such as de"
            " or pt-BR (lines 2 and 4). Their guests are invited without."
        ),
        (
            "“cc”: 1 cell cannot be used as cc and is left out, in line 2: is not an e-mail address: it has no @. Its"
            " guest is invited without."
        ),
    )
    assert not guests.is_whole


def test_each_reason_is_told_with_its_lines() -> None:
    """Else nobody finds the others in a long list: no result names a cell that was left out."""
    names = ["x" * 257, "a\tb", *["y" * 300] * 5]
    guests, _ = read("email,display_name\n" + "".join(f"a{n}@a.example,{name}\n" for n, name in enumerate(names)))
    [told] = guests.warnings
    assert told.startswith("“display_name”: 7 cells cannot be used as display_name and are left out: ")
    assert "is longer than 256 characters (lines 2, 4, 5 and 3 more); " in told
    assert "(line 3). Their guests are invited without." in told


@pytest.mark.parametrize("name", ["list.jsonl", "list.xlsx"])
def test_it_is_the_same_in_every_format(name: str) -> None:
    """JSON's own kinds of values and a workbook's numbers included."""
    data = f'{{"email": "{ANN}", "language": 5, "groups": [1]}}'.encode()
    if name.endswith("xlsx"):
        data = sheet([["email", "language", "groups"], [ANN, 5, "a\tb"]])
    guests, rows = read(data, name)
    assert [row.row for row in rows if isinstance(row, ValidRow)] == [{"email": ANN}]
    assert len(guests.warnings) == 2


def test_a_row_whose_address_is_wrong_is_a_bad_one_all_the_same() -> None:
    """And what else is wrong with it is not told twice."""
    guests, rows = read(f"language,email\n-,nonsense\n-,\nde,mailto:{ANN}\n-,mailto:{ZOE}\n")
    assert [row.column for row in rows if isinstance(row, BadRow)] == ["email", "email"]
    assert rows[2:] == [ValidRow(3, 4, {"language": "de", "email": ANN}), ValidRow(4, 5, {"email": ZOE})]
    assert guests.warnings[0].startswith("“language”: 1 cell")


def test_whether_somebody_is_mailed_is_not_left_to_chance() -> None:
    """A `send_message` that nobody understands may mean no: a mail that went out cannot be
    undone.
    """
    guests, rows = read(f"email,send_message\n{ANN},nein\n")
    assert [row.column for row in rows if isinstance(row, BadRow)] == ["send_message"]
    assert guests.is_whole
    assert set(FIELDS) - LEAVABLE == {"email", "send_message", "expires", "connection"}
    assert "`send_message`" in PAGE


def test_nobody_is_let_in_without_the_end_that_was_meant() -> None:
    """An `expires` that may be two dates, or none, is a bad row: whoever is in without an end
    stays.
    """
    _, rows = read(f"email,expires\n{ANN},03/04/2026\n{ZOE},soon\n{JOERG},2026-04-03\n")
    assert [str(row) for row in rows if isinstance(row, BadRow)] == [
        "line 2: expires may be read as two dates, with the day first or the month; write 2026-12-31",
        "line 3: expires is not a date such as 2026-12-31",
    ]
    assert rows[2] == ValidRow(3, 4, {"email": JOERG, "expires": "2026-04-03"})
    assert "`expires`" in PAGE


def test_a_row_with_a_cell_too_many_is_read_where_its_address_is_in_its_place() -> None:
    """One warning for the list; a row whose address stands elsewhere too, or moved, is a bad
    one.
    """
    guests, rows = read(
        f"name,email,ref\nAnn,{ANN},1,x\nLee,"
        f" Zoe,{ZOE},2\nJo,{JOERG},3,,\nJo,{JOERG},{ANN},x\nJo,,3,x\nZoe,<{ZOE}>,4,y\n"
    )
    good = [row.number for row in rows if isinstance(row, ValidRow)]
    assert good == [1, 3, 6]
    assert rows[0] == ValidRow(1, 2, {"display_name": "Ann", "email": ANN, "ref": "1"})
    assert all("has 4 cells where the headings name 3" in row.reason for row in rows if isinstance(row, BadRow))
    assert guests.warnings == (
        (
            "2 rows have more cells than the headings name, the first in line 2: what stands beyond the headings is"
            " left out. Where a name or a text holds commas, it needs quotation marks."
        ),
    )
    assert not guests.is_whole


def test_a_row_with_a_cell_too_many_comes_back_with_its_outcome(tmp_path: Path) -> None:
    """`--join` finds its outcome, keeps every cell, and what it writes is read as the list was."""
    path, joined = tmp_path / "list.csv", tmp_path / "joined.csv"
    path.write_text(f"name,email,language\nAnn,{ANN},-,x\nLee, Zoe,{ZOE},de\n")
    rows = read(path.read_bytes())[1]
    empty = dict.fromkeys(RESULT_COLUMNS, "")
    outcomes = [
        {**empty, "row": 1, "email": ANN, "status": "invited"},
        {**empty, "row": 2, "email": rows[1].email if isinstance(rows[1], BadRow) else "", "status": "failed"},
    ]
    assert write_results(Wanted(output=joined, join=path), lambda: iter(outcomes)).left_over == 0
    lines = joined.read_text().splitlines()
    assert lines[1] == f"Ann,{ANN},-,invited,,,,,,,,,,x"
    again = read(joined.read_bytes())[1]
    assert again[0] == rows[0]
    assert [isinstance(row, BadRow) for row in again] == [False, True]


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_a_row_that_was_refused_for_a_cell_is_refused_in_its_results_too(name: str) -> None:
    """Its guest would be invited without what the cell was to say: only its list has the cell.
    Another row that failed goes again.
    """
    rows = [
        dict.fromkeys(RESULT_COLUMNS, "") | {"row": n, "email": email, "status": "failed", "error_code": code}
        for n, (email, code) in enumerate([(ANN, "invalid_row"), (ZOE, "blocked_domain")], 1)
    ]
    if name.endswith("jsonl"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        text = "\n".join([",".join(RESULT_COLUMNS), *(",".join(map(str, row.values())) for row in rows)])
    refused, again = read(text, name)[1]
    assert isinstance(refused, BadRow)
    assert "mend it in the list" in str(refused)
    assert isinstance(again, ValidRow)
    assert again.row == {"email": ZOE}
    mended = f"email,expires,{','.join(RESULT_COLUMNS[4:])}\n{ANN},2099-04-03,failed,,,,,invalid_row,,,,\n"
    assert read(mended)[1] == [ValidRow(1, 2, {"email": ANN, "expires": "2099-04-03"})]
