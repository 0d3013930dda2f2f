"""Open a list of guests, whatever it is, and read it row by row: a CSV or JSONL file, or standard input.

    with open_list("guests.csv") as guests:
        for row in guests.rows():
            match row:
                case ValidRow(): ...
                case BadRow(): ...

One pass, one row at a time: a list of a million rows needs no more memory than one of ten.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tasks.csv_records import CsvRecords
from tasks.errors import InputError
from tasks.jsonl_records import JsonlRecords
from tasks.records import RawRecord, RecordReader
from tasks.rows import BadRow, ValidRow, validate_record
from tasks.text_lines import ByteSource, TextLines

_JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")


class GuestList:
    """An open list; `format` is "csv" or "jsonl". To be iterated once, in a `with` block.

    `warnings` are sentences for the plan; those about JSONL keys are known only after the last row.
    """

    def __init__(self, source: ByteSource, name: str, *, path: str = "", closing: ExitStack | None = None) -> None:
        """Read the beginning of an open binary source; `name` stands in messages, `closing` is what `close` closes.

        Raises `InputError`.
        """
        lines = TextLines(source, name)
        if not lines.head:
            raise InputError(f"{name} is empty.")
        # What it holds counts more than what it is called: no heading begins with a brace.
        is_json = lines.head == "{" or lines.head == "[" or path.lower().endswith(_JSON_SUFFIXES)
        self.name = name
        self.format = "jsonl" if is_json else "csv"
        self._reader: RecordReader = JsonlRecords(lines) if is_json else CsvRecords(lines)
        self._closing = closing or ExitStack()

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._reader.warnings

    def records(self) -> Iterator[RawRecord | BadRow]:
        """Yield the records as they stand, unchecked. Raises `InputError` where the file as a whole turns out unreadable."""
        return iter(self._reader)

    def rows(self, defaults: Mapping[str, Any] | None = None) -> Iterator[ValidRow | BadRow]:
        """Yield every record checked; `defaults` come from `rows.validate_defaults`. Raises `InputError` as `records` does."""
        given = defaults or {}
        for record in self._reader:
            if isinstance(record, BadRow):
                yield record
            else:
                number, line, values = record
                yield validate_record(values, number, line, given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._closing.close()


def open_list(path: str | os.PathLike[str], stdin: ByteSource | None = None) -> GuestList:
    """Open a list by its path, `-` being standard input. Raises `InputError` with one sentence."""
    text = os.fspath(path)
    if text == "-":
        return GuestList(stdin if stdin is not None else sys.stdin.buffer, "Standard input")
    with ExitStack() as closing:
        try:
            file = closing.enter_context(Path(text).open("rb"))
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            raise InputError(_unreadable(text, error)) from None
        guests = GuestList(file, text, path=text, closing=(kept := ExitStack()))
        kept.push(closing.pop_all())
    return guests


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
