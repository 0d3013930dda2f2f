import csv
import gc
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest

from tasks.errors import OutputError
from tasks.results.files import save_whole
from tasks.results.sheets import write_workbook
from tasks.results.table import WRITERS, Table, TableRow, as_text, write_csv, write_jsonl
from tasks.rows.fields import RESULT_COLUMNS

OUTCOME: dict[str, Any] = {
    "row": 1,
    "email": "ann@a.example",
    "display_name": "=1+1",
    "status": "invited",
    "attempts": 2,
    "finished_at": datetime(2026, 11, 23, 6, 0, tzinfo=UTC),
    "internal": "never written",
}


def _save(outcomes: Iterable[Mapping[str, Any]], path: str | os.PathLike[str], file_format: str = "csv") -> int:
    def write(stream: IO[bytes]) -> int:
        with as_text(stream) as sink:
            return WRITERS[file_format](outcomes, sink)

    return save_whole(path, write)


def test_csv_has_the_fixed_columns_in_order() -> None:
    """The column order is an interface; lines end in a bare line feed; formulas are escaped."""
    sink = io.StringIO()
    assert write_csv([OUTCOME, {"row": 2, "error_message": 'a "b", c\rd'}], sink) == 2
    assert sink.getvalue() == (
        "row,email,display_name,ref,status,user_id,invitation_id,redeem_url,mail,error_code,error_message,request_id,"
        "attempts,finished_at\n"
        "1,ann@a.example,'=1+1,,invited,,,,,,,,2,2026-11-23T06:00:00+00:00\n"
        '2,,,,,,,,,,"a ""b"", c\rd",,,\n'
    )


def test_jsonl_has_every_column() -> None:
    """Programs get every key, null where there is nothing, and text as it is."""
    sink = io.StringIO()
    assert write_jsonl([OUTCOME], sink) == 1
    line = json.loads(sink.getvalue())
    assert tuple(line) == RESULT_COLUMNS
    assert (line["display_name"], line["ref"], line["attempts"]) == ("=1+1", None, 2)


def test_values_of_other_kinds() -> None:
    """A boolean is written as text, a lone surrogate does not end an export."""
    sink = io.StringIO()
    write_csv([{"row": 1, "mail": True, "ref": ["-1"]}], sink)
    assert list(csv.reader(sink.getvalue().splitlines()))[1][8] == "true"


@pytest.mark.parametrize("file_format", sorted(WRITERS))
def test_a_saved_file_is_private_and_complete(tmp_path: Path, file_format: str) -> None:
    """Links and addresses are for their owner alone, an earlier file's mode notwithstanding."""
    path = tmp_path / "results"
    path.write_text("old")
    path.chmod(0o644)
    assert _save([{**OUTCOME, "display_name": "\ud800"}], path, file_format) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "ann@a.example" in path.read_text(encoding="utf-8")
    assert os.listdir(tmp_path) == ["results"]  # noqa: PTH208 (names are what is asserted)


def test_a_failing_source_leaves_the_old_file(tmp_path: Path) -> None:
    """What the outcomes raise passes through untouched, and half a file is never seen."""
    path = tmp_path / "results.csv"
    path.write_text("old")

    def broken() -> Iterator[dict[str, Any]]:
        yield OUTCOME
        raise ConnectionResetError("the ledger went away")

    with pytest.raises(ConnectionResetError):
        _save(broken(), path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.csv"]


def test_a_link_keeps_pointing(tmp_path: Path) -> None:
    """The file behind a symbolic link is replaced, not the link."""
    (tmp_path / "real.csv").write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to("real.csv")
    _save([OUTCOME], link)
    assert link.is_symlink()
    assert "ann@a.example" in (tmp_path / "real.csv").read_text()


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    """One sentence with the path as it was given."""
    for path in (tmp_path / "missing" / "x.csv", tmp_path, "a\0b"):
        with pytest.raises(OutputError, match="cannot be written"):
            _save([OUTCOME], path)


def test_a_full_disk_is_a_sentence() -> None:
    """An error while writing is ours, too."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full (Linux)")
    with pytest.raises(OutputError, match=r"/dev/full cannot be written: No space left on device\."):
        _save([OUTCOME] * 10_000, full)
    with pytest.raises(OutputError, match="No space left"):
        _save([OUTCOME], full)


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """`-o` on a pipe or device must not put a file in its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-c", f"print(open({str(pipe)!r}).read())"], stdout=subprocess.PIPE
    ) as reader:
        _save([OUTCOME], pipe)
        output, _ = reader.communicate(timeout=30)
    assert b"ann@a.example" in output
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_says_that_nothing_is_lost_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a workbook too, and nothing of it is left to fail once more when Python tidies up."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full (Linux)")
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    row = TableRow("ann@a.example", ("ann@a.example", "x", "y"))
    with pytest.raises(OutputError, match=r"No space left on device\. Nothing is lost, .* make room or name a file"):
        save_whole(full, lambda stream: write_workbook(Table([("a", "b", "c")], [row] * 30_000), stream))
    gc.collect()
    assert told == []
