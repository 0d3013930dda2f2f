"""Hundreds of tenants stand in a list of their own: `connections_file`, a CSV with a connection a
line, any setting of a connection a column.

Lines that differ in name, tenant and tags alone are checked once and copied, so that ten thousand
take a part of a second.

Half a CSV is a good shorter one: where the last line ended with a line break and does so no longer,
the list may still be being written, or was cut by a full disk (`watch.py`).
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.errors import ConfigError, did_you_mean

MAX_BYTES = 32 << 20
NAME = "name"
HEADINGS = "name,tenant_id,app,tags"
"""What a list begins with that usher makes; any setting of a connection may be a column more."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One connection as it stands in the list. `cells`: by column, those that are not empty.
    `fault`: half a sentence, '' where none is known yet.
    """

    number: int
    name: str
    cells: Mapping[str, str] = field(repr=False)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionsFile:
    """A list of connections as read. `digest`: SHA-256; `ends_whole`: with a line break."""

    path: Path
    digest: str
    ends_whole: bool
    lines: tuple[Line, ...]


def read_connections_file(path: Path, known: Mapping[str, object]) -> ConnectionsFile:
    """Read a list; `known`: its possible columns. Raises ConfigError for what is no list."""
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(_not_utf8(path, content, error.start)) from None
    try:
        lines = _told_apart(list(_lines(path, text, known)))
    except csv.Error:
        raise ConfigError(f"{path}: it is not CSV: a quote is not closed, or a cell is too long.") from None
    ends_whole = content.endswith((b"\n", b"\r"))
    return ConnectionsFile(path, hashlib.sha256(content).hexdigest(), ends_whole, lines)


def find_separator(text: str) -> str:
    """Return what stands between the cells, as the first line shows. Pure."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file, which connections_file names: make it with the line {HEADINGS} in it, or"
            " let usher connections add NAME --app APP make it."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read ({error.strerror or error}).") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: it is larger than {MAX_BYTES >> 20} MiB, which is no list of connections.")
    return content


def _not_utf8(path: Path, content: bytes, start: int) -> str:
    """Say where a file is no UTF-8, and how Excel writes it. Another encoding is not guessed: a cut
    character would be two good ones of it.
    """
    number = content.count(b"\n", 0, start) + 1
    return (
        f"{path} line {number}: it is not UTF-8 text. In Excel save it as “CSV UTF-8 (Comma delimited)”, elsewhere with"
        " the encoding UTF-8."
    )


def _told_apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines; those that share a name are at fault: nobody knows which counts. Pure."""
    by_name: dict[str, list[int]] = {}
    for line in lines:
        by_name.setdefault(line.name, []).append(line.number)
    twice = {name: numbers for name, numbers in by_name.items() if name and len(numbers) > 1}
    return tuple(_of_one_name(line, twice[line.name]) if line.name in twice else line for line in lines)


def _of_one_name(line: Line, numbers: Sequence[int]) -> Line:
    others = [str(number) for number in numbers if number != line.number][:_MOST_NAMED]
    return replace(line, fault=f"{line.name} stands in line {', '.join(others)}, too: each needs a name of its own")


def _lines(path: Path, text: str, known: Mapping[str, object]) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=find_separator(text), strict=True)
    cut_at = 0 if text.endswith(("\n", "\r")) else len(text.splitlines())
    columns = [heading.strip().lower() for heading in next(reader, [])]
    unknown = [column for column in columns if column != NAME and column not in known]
    if unknown:
        raise ConfigError(f"{path} line 1: {_no_heading(unknown[0], known)}.")
    if NAME not in columns or "tenant_id" not in columns or len(set(columns)) != len(columns):
        raise ConfigError(
            f"{path} line 1: the headings must be name, tenant_id and others, each once, as in {HEADINGS}."
        )
    for cells in reader:
        if not any(cells):
            continue
        fault = "there are more cells than headings" if len(cells) > len(columns) else ""
        if len(cells) < len(columns) and cut_at == reader.line_num:
            fault = "it may be cut off: it has fewer cells than headings, and no line break at its end"
        if cells[0].lstrip().startswith("#"):
            fault = "a line that begins with # is read as a connection, too: take it out"
        given = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if cell.strip()}
        yield Line(reader.line_num, given.pop(NAME, ""), given, fault)


def _no_heading(column: str, known: Mapping[str, object]) -> str:
    """Say what is wrong with a column, and what to do. Pure."""
    if column.startswith("sep="):
        return "'sep=' is a note for Excel and no heading: take this line out"
    if not column:
        return "a column has no heading: name it, or take it out"
    hint = did_you_mean(column, known)
    told = f"{column[:64]!r} is no setting of a connection{hint}"
    return told if hint else f"{told}: take the column out, for notes of one's own have no place in this list"
