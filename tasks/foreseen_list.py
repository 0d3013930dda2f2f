"""The list of a dry run, each row with what would become of it: CSV, or JSON lines where the file's name ends so.

It can be fed back into `usher invite`, filtered or not. Only its owner may read it, and it is there whole or not at all.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tasks.errors import OutputError
from tasks.fields import FIELDS
from tasks.spreadsheet import escape_cell

if TYPE_CHECKING:
    from tasks.dry_run import ForeseenRow

JSON_LINES = (".jsonl", ".ndjson")


class ForeseenList:
    """Writes rows to an open file. `fields` are those that some row has."""

    def __init__(self, stream: TextIO, fields: Collection[str], *, json_lines: bool) -> None:
        self._stream = stream
        self._fields = [name for name in FIELDS if name in fields or name == "email"]
        self._writer = None if json_lines else csv.writer(stream, lineterminator="\n")
        if self._writer:
            self._writer.writerow(("row", *self._fields, "would", "why"))

    def write(self, row: ForeseenRow) -> None:
        """Write one row."""
        values = {"row": row.number, **{name: row.row.get(name) for name in self._fields}}
        values |= {"would": row.foreseen.would.value, "why": row.foreseen.why}
        if self._writer:
            self._writer.writerow([_cell(value) for value in values.values()])
        else:
            self._stream.write(json.dumps(values, ensure_ascii=False) + "\n")


@contextmanager
def open_private(path: str) -> Iterator[TextIO]:
    """Open a file to be written, 0600; it takes its name when the block ends well. Raises `OutputError`."""
    target = Path(path).resolve()
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".usher-", suffix=".part")
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as stream:
            yield stream
        try:
            Path(temporary).replace(target)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}.") from None
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _cell(value: Any) -> str | int:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return escape_cell(";".join(value))
    return value if isinstance(value, int) else escape_cell(str(value))
