"""A list of guests is opened, whatever it is, and read row by row: a CSV, Excel or JSONL file, or
standard input.

    with open_list("guests.csv") as guests:
        for row in guests.rows():
            match row:
                case ValidRow(): ...
                case BadRow(): ...

One pass, one row at a time: a list of a million rows needs no more memory than one of ten. What
cannot be told from the list itself comes as `ListOptions`, and is asked for with an `Ambiguity`.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final, Self, cast

from tasks.errors import InputError
from tasks.lists.columns import quote_headings
from tasks.lists.csv_records import CsvRecords
from tasks.lists.encodings import ByteSource, Prefixed
from tasks.lists.excel.sheet_records import SheetRecords
from tasks.lists.excel.workbook import MARK, Workbook
from tasks.lists.fingerprint import Hashed
from tasks.lists.jsonl_records import JsonlRecords
from tasks.lists.left_out import LeftOut
from tasks.lists.options import ListOptions
from tasks.lists.records import RawRecord, RecordReader
from tasks.lists.sample import Sample
from tasks.lists.text_lines import BLOCK_BYTES, TextLines
from tasks.rows.cleaning import compose_name, look_again
from tasks.rows.row import BadRow, ValidRow, validate_record

_JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")


class GuestList:
    """An open list; `format` is "csv" or "jsonl". To be iterated once, in a `with` block.

    `warnings` are sentences for the plan; those about JSONL keys and about cells that are left out
    are known only after the last row.
    """

    def __init__(
        self,
        source: ByteSource,
        name: str,
        *,
        path: str = "",
        options: ListOptions | None = None,
        closing: ExitStack | None = None,
    ) -> None:
        """Read the beginning of an open binary source; `name` stands in messages, `closing` is what
        `close` closes.

        Raises `InputError`, and `Ambiguity` where the options have to say more.
        """
        self.name = name
        self.options = options or ListOptions()
        self.sample = Sample()
        """Three rows, for the plan; there when all were read."""
        self._left_out = LeftOut()
        self._closing = closing or ExitStack()
        self._hashed = Hashed(source)
        self._workbook: io.BufferedReader | None = None
        start = _read_start(self._hashed, name)
        self._book: IO[bytes] | None = None
        self._reader: RecordReader
        if start.startswith(MARK):
            self.format = "xlsx"
            self._reader = SheetRecords(self._open_workbook(start, source), self.options)
            return
        lines = TextLines(Prefixed(start, self._hashed), name, self.options)
        if not lines.head:
            raise InputError(f"{name} is empty.")
        if lines.head == "<":
            raise InputError(
                f"{name} is a web page or XML, whatever it is called; open it in Excel and save it as .xlsx or as “CSV"
                " UTF-8”."
            )
        # What it holds counts more than what it is called: no heading begins with a brace.
        is_json = lines.head == "{" or lines.head == "[" or path.lower().endswith(_JSON_SUFFIXES)
        self.format = "jsonl" if is_json else "csv"
        self._reader = JsonlRecords(lines, self.options) if is_json else CsvRecords(lines, self.options)

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._reader.warnings, *self._left_out.warnings(self._reader.read))

    @property
    def is_whole(self) -> bool:
        """Whether each row that is read is read with all its cells; certain when all have been."""
        return self._reader.is_whole and not self._left_out

    @property
    def fields_left_out(self) -> frozenset[str]:
        """The fields of which some cell could not be used; certain when all rows have been read."""
        return self._left_out.fields

    @property
    def is_result(self) -> bool:
        """Whether it is a results file of usher's own, or a list with outcomes beside it."""
        return self._reader.is_result

    @property
    def reader(self) -> RecordReader:
        """What reads it, for those who want the file itself and not its guests (`join.py`)."""
        return self._reader

    @property
    def book(self) -> IO[bytes] | None:
        """The open workbook's bytes, where it is one."""
        return self._book

    def describe(self, *, with_sample: bool) -> list[tuple[str, str]]:
        """How it was read, in (heading, text) pairs for the plan; complete when all has been."""
        told = [("Read as", ", ".join(self._reader.description))]
        renamed = [self._describe_column(field, heading) for field, heading in self._reader.read]
        if renamed:
            told.append(("Columns", ("; " if self._reader.is_only_one else ", ").join(renamed)))
        if with_sample:
            told += [("Sample" if index == 0 else "", text) for index, text in enumerate(self.sample.lines())]
        return told

    def _describe_column(self, field: str, heading: str) -> str:
        told = f"{field} from {quote_headings([heading])}" if heading != field else field
        return f"{told}: the only column with addresses" if field == "email" and self._reader.is_only_one else told

    def sha256(self) -> str:
        """Return the SHA-256 of the list's bytes, in hex digits, once all rows were read."""
        if self._workbook is None:
            return self._hashed.hexdigest()
        self._workbook.seek(0)
        return hashlib.file_digest(self._workbook, "sha256").hexdigest()

    def records(self) -> Iterator[RawRecord | BadRow]:
        """Yield the records as they stand, unchecked. Raises `InputError` where the file as a whole
        turns out unreadable.
        """
        return iter(self._reader)

    def rows(self, defaults: Mapping[str, Any] | None = None) -> Iterator[ValidRow | BadRow]:
        """Yield every record checked; `defaults` come from `row.validate_defaults`. Raises
        `InputError` as `records` does.
        """
        given = defaults or {}
        sample = self.sample
        for record in self._reader:
            if isinstance(record, BadRow):
                yield record
                continue
            number, line, values = record
            row = validate_record(values, number, line, given)
            if isinstance(row, BadRow):
                row = look_again(row, values, given, self._left_out.add)
            if isinstance(row, ValidRow):
                if "display_name" not in row.row:
                    compose_name(row.row)
                if sample.wants_more:
                    sample.add(row)
            yield row

    def _open_workbook(self, start: bytes, source: ByteSource) -> Workbook:
        file: IO[bytes]
        if isinstance(source, io.IOBase) and source.seekable():
            file = self._workbook = cast(io.BufferedReader, source)
        else:  # a workbook's table of contents is at its end
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the list
            self._closing.callback(file.close)
            rest = Prefixed(start, self._hashed)
            while block := rest.read(BLOCK_BYTES):
                file.write(block)
        file.seek(0)
        self._book = file
        book = Workbook(file, self.name)
        self._closing.callback(book.close)
        return book

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._closing.close()


def open_list(
    path: str | os.PathLike[str], stdin: ByteSource | None = None, options: ListOptions | None = None
) -> GuestList:
    """Open a list by its path, `-` for standard input. Raises `InputError`, or `Ambiguity`."""
    text = os.fspath(path)
    closing = ExitStack()
    try:
        if text == "-":
            source = stdin if stdin is not None else sys.stdin.buffer
            return GuestList(source, "Standard input", options=options, closing=closing)
        try:
            file = Path(text).open("rb")  # noqa: SIM115 - closed with the list
            closing.callback(file.close)
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            raise InputError(_unreadable(text, error)) from None
        return GuestList(file, text, path=text, options=options, closing=closing)
    except BaseException:
        closing.close()
        raise


def _read_start(source: ByteSource, name: str) -> bytes:
    """Read enough to tell a workbook from a text."""
    start, first = b"", Prefixed(b"", source)
    try:
        while len(start) < len(MARK) and (block := first.read(BLOCK_BYTES)):
            start += block
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from None
    return start


def _unreadable(path: str, error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return f"{path} does not exist."
        case PermissionError():
            return f"{path} may not be read by this user."
        case IsADirectoryError():
            return f"{path} is a directory, not a list."
        case OSError():
            return f"{path} cannot be opened: {error.strerror or error}."
        case _:
            return "That is not the name of a file."
