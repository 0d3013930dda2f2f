"""A job's fingerprint is that of the file, however it was read."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from tasks.lists.guest_list import open_list

TEXT = b"email\n" + b"".join(b"guest%d@example.com\n" % n for n in range(50_000))


class _Pipe:
    """A source that cannot be read twice and gives little at a time."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, 1000))


@pytest.mark.parametrize(
    "content", [TEXT, TEXT.replace(b"\n", b"\r\n"), b"\xff\xfe" + TEXT.decode().encode("utf-16-le")]
)
def test_a_files_bytes_count_not_what_was_made_of_them(tmp_path: Path, content: bytes) -> None:
    """Encodings and line ends included; from a pipe the same."""
    path = tmp_path / "guests.csv"
    path.write_bytes(content)
    for name, stdin in ((str(path), None), ("-", _Pipe(content))):
        with open_list(name, stdin) as guests:
            assert sum(1 for _ in guests.rows()) == 50_000
            assert guests.sha256() == hashlib.sha256(content).hexdigest()


def test_what_nobody_read_counts_too(tmp_path: Path) -> None:
    """The fingerprint is the whole file's also where reading stopped early."""
    path = tmp_path / "guests.csv"
    path.write_bytes(TEXT)
    with open_list(path) as guests:
        next(guests.rows())
        assert guests.sha256() == hashlib.sha256(TEXT).hexdigest()


def test_a_workbook_has_one_too(tmp_path: Path) -> None:
    """Its parts are read in any order, from a pipe by way of a copy."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["email"])
    book.active.append(["a@example.com"])
    path = tmp_path / "guests.xlsx"
    book.save(path)
    content = path.read_bytes()
    for name, stdin in ((str(path), None), ("-", _Pipe(content))):
        with open_list(name, stdin) as guests:
            assert sum(1 for _ in guests.rows()) == 1
            assert guests.sha256() == hashlib.sha256(content).hexdigest()
