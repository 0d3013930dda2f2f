"""The stages of a job in its results, and in results that are fed back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tasks.lists.earlier_results import JOINED_COLUMNS
from tasks.lists.guest_list import GuestList
from tasks.results.write import Wanted, write_results
from tasks.rows.fields import RESULT_COLUMNS
from tasks.rows.row import BadRow, ValidRow
from tests.lists.exports import ANN, JOERG, ZOE, sheet
from worker.ledger.model import STAGES_DONE

HEADINGS, CELLS = ["email", "groups"], [[ANN, "A;B"], [ZOE, "A"], [JOERG, ""]]
LISTS = {
    "list.csv": ("\n".join(",".join(cells) for cells in [HEADINGS, *CELLS]) + "\n").encode(),
    "list.xlsx": sheet([HEADINGS, *CELLS]),
    "list.jsonl": "".join(json.dumps(dict(zip(HEADINGS, cells, strict=True))) + "\n" for cells in CELLS).encode(),
}


def outcome(number: int, email: str, groups: str, error: str = "", **more: Any) -> dict[str, Any]:
    """Return a row's outcome as the ledger tells it."""
    told = {"row": number, "email": email, "status": "invited", "groups_status": groups, "groups_error": error}
    told |= {"profile_status": "already", "profile_error": ""}
    return {**dict.fromkeys(RESULT_COLUMNS, ""), **told, **more}


OUTCOMES = [
    outcome(1, ANN, "failed", "There is no group “B” in this tenant."),
    outcome(2, ZOE, "done"),
    outcome(3, JOERG, "", status="failed"),
]


def read(data: bytes, name: str) -> tuple[GuestList, list[ValidRow | BadRow]]:
    """Read a list to its end."""
    guests = GuestList(io.BytesIO(data), name, path=name)
    rows = list(guests.rows())
    guests.close()
    return guests, rows


def joined(path: Path, name: str, stages: tuple[str, ...] = ("groups",)) -> Path:
    """Return a list with the outcomes of a job beside it."""
    source, target = path / name, path / f"joined-{name}"
    if not source.exists():
        source.write_bytes(LISTS[name])
    write_results(Wanted(output=target, join=source, stages=stages), lambda: iter(OUTCOMES))
    return target


@pytest.mark.parametrize("name", LISTS)
def test_a_stage_that_is_done_is_not_asked_for_again(tmp_path: Path, name: str) -> None:
    """A list with its outcomes beside it is the list itself, and says of each row what is done."""
    guests, again = read(joined(tmp_path, name).read_bytes(), name)
    assert guests.is_result
    assert not guests.warnings
    assert "groups_status" not in dict(guests.describe(with_sample=False)).get("Columns", "")
    assert [row.row for row in again if isinstance(row, ValidRow)] == [
        {"email": ANN, "groups": ["A", "B"]},
        {"email": ZOE, "groups": ["A"], STAGES_DONE: ["groups"]},
        {"email": JOERG},
    ]


@pytest.mark.parametrize("name", LISTS)
def test_columns_of_a_longer_run_are_replaced(tmp_path: Path, name: str) -> None:
    """Nothing of the earlier run stays beside what is newer, whichever had more stages."""
    once = joined(tmp_path, name, ("profile", "groups"))
    twice = tmp_path / f"twice-{name}"
    write_results(Wanted(output=twice, join=once), lambda: iter(OUTCOMES))
    _, rows = read(twice.read_bytes(), name)
    assert [STAGES_DONE in row.row for row in rows if isinstance(row, ValidRow)] == [False] * 3
    if name != "list.xlsx":
        assert b"profile_status" not in twice.read_bytes()
    again = tmp_path / f"again-{name}"
    write_results(Wanted(output=again, join=twice, stages=("groups",)), lambda: iter(OUTCOMES))
    assert [row.row for row in read(again.read_bytes(), name)[1] if isinstance(row, ValidRow)][1][STAGES_DONE]


def test_results_have_two_columns_for_each_stage(tmp_path: Path) -> None:
    """Behind the fixed ones, in the stages' order."""
    for ending, first in (("csv", ",".join([*RESULT_COLUMNS, "groups_status", "groups_error"])), ("jsonl", "{")):
        target = tmp_path / f"results.{ending}"
        write_results(Wanted(output=target, stages=("groups",)), lambda: iter(OUTCOMES))
        lines = target.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(first)
    assert list(json.loads(lines[0]))[-2:] == ["groups_status", "groups_error"]


def test_rows_whose_stage_failed_are_among_those_that_failed(tmp_path: Path) -> None:
    """Whoever asks for what failed wants to mend all of it."""
    target = tmp_path / "failed.csv"
    assert write_results(Wanted(output=target, stages=("groups",), only=("failed",)), lambda: iter(OUTCOMES)).rows == 2


def test_a_column_of_somebodys_own_is_not_a_stage() -> None:
    """Only beside our outcomes is `groups_status` more than a column that means nothing."""
    guests, rows = read(f"email,account_status\n{ANN},done\n".encode(), "list.csv")
    assert rows == [ValidRow(1, 2, {"email": ANN})]
    assert "account_status" in guests.warnings[0]
    guests, rows = read(f'{{"email": "{ANN}", "account_status": "done"}}\n'.encode(), "list.jsonl")
    assert rows == [ValidRow(1, 1, {"email": ANN})]
    assert "account_status" in guests.warnings[0]


def test_what_a_dry_run_foresaw_of_stages_is_passed_over() -> None:
    """Its columns stand behind `would` and `why`, and ask for nothing."""
    text = f"email,groups,would,why,groups_would,groups_why\n{ANN},A,invite,,done,\n"
    guests, rows = read(text.encode(), "list.csv")
    assert rows == [ValidRow(1, 2, {"email": ANN, "groups": ["A"]})]
    assert not guests.warnings


def test_the_outcomes_begin_where_they_did() -> None:
    """With stages behind them or without."""
    for stages in ("", ",groups_status,groups_error"):
        guests, _ = read(f"email,{','.join(JOINED_COLUMNS)}{stages}\n{ANN},invited\n".encode(), "list.csv")
        assert guests.reader.joined == 1
