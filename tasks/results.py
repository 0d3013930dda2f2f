"""Write how the rows ended: CSV for people, JSONL for programs, a row at a time.

Both hold the same columns in the same order, and both can be fed back into `usher invite`. CSV lines end in `\\n`, not in RFC
4180's `\\r\\n`: every spreadsheet reads both, while `cut`, `awk` and `diff` would find a `\\r` in the last column.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

from tasks.errors import OutputError
from tasks.fields import RESULT_COLUMNS
from tasks.spreadsheet import escape_cell


class TextSink(Protocol):
    """Whatever takes text: a file, standard output."""

    def write(self, text: str, /) -> object: ...


def write_csv(outcomes: Iterable[Mapping[str, Any]], sink: TextSink) -> int:
    """Write headings and one line per outcome; return the number of outcomes. Missing and None become empty cells.

    Text that a spreadsheet would run as a formula is escaped (`spreadsheet.escape_cell`). Other keys are not written.
    """
    # csv.writer quotes a cell for a `\r` only where lines end in `\r\n`, so it is told so, and its line ends are shortened.
    writer = csv.writer(_ShortLineEnds(sink), lineterminator="\r\n")
    writer.writerow(RESULT_COLUMNS)
    count = 0
    for outcome in outcomes:
        writer.writerow([_cell(outcome.get(column)) for column in RESULT_COLUMNS])
        count += 1
    return count


def write_jsonl(outcomes: Iterable[Mapping[str, Any]], sink: TextSink) -> int:
    """Write one JSON object per outcome with every column, None as null; return the number of outcomes."""
    count = 0
    for outcome in outcomes:
        line = {column: _plain(outcome.get(column)) for column in RESULT_COLUMNS}
        sink.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count


WRITERS: Final[Mapping[str, Callable[[Iterable[Mapping[str, Any]], TextSink], int]]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
}
"""The formats by the name that `--format` takes."""


def save_results(outcomes: Iterable[Mapping[str, Any]], path: str | os.PathLike[str], file_format: str = "csv") -> int:
    """Write the outcomes to a file only its owner may read (0600), whole or not at all; return their number.

    An existing file keeps its content until the new one is complete. A device or a pipe is written to directly. Raises
    `OutputError` where the file cannot be written; what `outcomes` raises passes through.
    """
    write = WRITERS[file_format]
    with _reporting(path):
        target = Path(path).resolve()  # a link goes on pointing at the results
        if target.exists() and not target.is_file():  # /dev/stdout must not be replaced by a file
            stream = _open_text(target)
            temporary = None
        else:
            descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".usher-", suffix=".part")  # 0600
            stream = _open_text(descriptor)
    try:
        with ExitStack() as closing:
            closing.callback(_close, stream, path)
            count = write(outcomes, _FileSink(stream, path))
            if temporary is not None:
                with _reporting(path):
                    stream.flush()
                    os.fsync(stream.fileno())
        if temporary is not None:
            with _reporting(path):
                Path(temporary).replace(target)
    except BaseException:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise
    return count


class _FileSink:
    """Writes to a file and turns only the file's errors into ours: a lost Redis behind the outcomes is an OSError, too."""

    __slots__ = ("_path", "_stream")

    def __init__(self, stream: TextIO, path: str | os.PathLike[str]) -> None:
        self._stream = stream
        self._path = path

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except OSError as error:
            raise _not_writable(self._path, error) from None


class _ShortLineEnds:
    """Passes each record on with `\\n` in place of its final `\\r\\n`; csv.writer makes one call a record."""

    __slots__ = ("_write",)

    def __init__(self, sink: TextSink) -> None:
        self._write = sink.write

    def write(self, record: str) -> object:
        return self._write(record[:-2] + "\n")


@contextmanager
def _reporting(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise _not_writable(path, error) from None


def _close(stream: TextIO, path: str | os.PathLike[str]) -> None:
    with _reporting(path):
        stream.close()


def _open_text(file: Path | int) -> TextIO:
    # A lone surrogate, which JSON from elsewhere may hold, becomes "?" and does not end the export.
    return open(file, "w", encoding="utf-8", errors="replace", newline="")  # noqa: PTH123 (takes a descriptor, too)


def _not_writable(path: str | os.PathLike[str], error: OSError | ValueError) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutputError(f"{os.fspath(path)} cannot be written: {reason}.")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, str):
        return escape_cell(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return escape_cell(str(_plain(value)).lower() if isinstance(value, bool) else str(_plain(value)))
