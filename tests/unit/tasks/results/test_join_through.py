"""The outcomes of a list that went through several connections, beside it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import OutputError
from tasks.results.write import Wanted, write_through

LIST = "mail;name;connection\nann@x.example;Ann;\nbob@x.example;Bob;bellows\nnobody;No;\neve@x.example;Eve;cronus\n"


def outcome(row: int, email: str, status: str, **more: Any) -> dict[str, Any]:
    """An outcome as the ledger tells it."""
    return {"row": row, "email": email, "status": status, "user_id": f"id-{email[:3]}-{row}", "attempts": 1, **more}


ADATUM = [outcome(1, "ann@x.example", "invited"), outcome(2, "nobody", "failed", error_code="invalid_row")]
ADATUM.append(outcome(3, "eve@x.example", "failed", error_code="invalid_row"))
BELLOWS = [outcome(1, "ann@x.example", "failed", error_message="No."), outcome(2, "bob@x.example", "invited")]


def write(
    folder: Path, text: str = LIST, only: tuple[str, ...] = (), **parts: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """Write the list with outcomes; return its lines."""
    own, result = folder / "own.csv", folder / "result.csv"
    own.write_text(text, encoding="utf-8")
    parts = parts or {"adatum": ADATUM, "bellows": BELLOWS}
    write_through(Wanted("", result, only, own), {name: lambda rows=rows: rows for name, rows in parts.items()})  # type: ignore[misc]
    return [*csv.DictReader(io.StringIO(result.read_text(encoding="utf-8")), delimiter=";")]


def test_each_line_comes_back_once(tmp_path: Path) -> None:
    """What differs between connections says whose it is; a row of one has its outcome as ever."""
    ann, bob, nobody, eve = write(tmp_path)
    assert (ann["name"], ann["connections"], ann["attempts"]) == ("Ann", "adatum; bellows", "1")
    assert (ann["status"], ann["error_message"]) == ("adatum: invited; bellows: failed", "bellows: No.")
    assert (bob["connection"], bob["connections"], bob["status"], bob["user_id"]) == (
        "bellows",
        "bellows",
        "invited",
        "id-bob-2",
    )
    assert [(line["connections"], line["error_code"]) for line in (nobody, eve)] == [("adatum", "invalid_row")] * 2


def test_list_that_was_sorted_is_matched_by_address(tmp_path: Path) -> None:
    """And what a connection had beside is no fault of another."""
    heading, *lines = LIST.splitlines()
    eve, nobody, bob, ann = write(tmp_path, "\n".join([heading, *reversed(lines)]) + "\n")
    assert [ann["connections"], bob["connections"]] == ["adatum; bellows", "bellows"]
    assert [nobody["status"], eve["status"]] == ["failed", "failed"]
    with pytest.raises(OutputError, match="another list"):
        write(tmp_path, "email\nzoe@x.example\n")


def test_only_what_ended_so_in_some_connection(tmp_path: Path) -> None:
    """A line that failed in one of them is wanted."""
    assert [line["name"] for line in write(tmp_path, only=("failed",))] == ["Ann", "No", "Eve"]


def test_outcomes_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    """With the column of the connections; and a connection whose job is gone leaves blanks."""
    write(tmp_path)
    before = (tmp_path / "result.csv").read_text(encoding="utf-8")
    write(tmp_path, before)
    assert (tmp_path / "result.csv").read_text(encoding="utf-8") == before
    ann, bob, *_ = write(tmp_path, before, adatum=ADATUM)
    assert (ann["status"], bob["status"], bob["connections"]) == ("invited", "", "")
