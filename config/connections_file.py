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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import ConfigError, did_you_mean

MAX_BYTES = 32 << 20
_MOST_FAULTS = 50
NAME = "name"
HEADINGS = "name,tenant_id,app,tags"
"""What a list begins with that usher makes; any setting of a connection may be a column more."""


@dataclass(frozen=True, slots=True)
class Line:
    """One connection as it stands in the list. `cells`: by column, those that are not empty."""

    number: int
    name: str
    cells: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionsFile:
    """A list of connections as it was read. `digest`: SHA-256 of its content. `ends_whole`: with a
    line break.
    """

    path: Path
    digest: str
    ends_whole: bool
    lines: tuple[Line, ...]


def read_connections_file(path: Path, known: Mapping[str, object]) -> ConnectionsFile:
    """Read a list; `known`: the columns that there may be. Raises ConfigError with a sentence for
    each fault, by its line.
    """
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: it is not UTF-8 text.") from None
    faults: list[str] = []
    lines: dict[str, Line] = {}
    try:
        for line in _lines(path, text, known):
            if before := lines.get(line.name):
                faults.append(f"{path} line {line.number}: {line.name} stands in line {before.number} already.")
            else:
                lines[line.name] = line
    except csv.Error:
        raise ConfigError(f"{path}: it is not CSV: a quote is not closed, or a cell is too long.") from None
    if faults:
        raise ConfigError(faults[:_MOST_FAULTS])
    ends_whole = content.endswith((b"\n", b"\r"))
    return ConnectionsFile(path, hashlib.sha256(content).hexdigest(), ends_whole, tuple(lines.values()))


def find_separator(text: str) -> str:
    """Return what stands between the cells, as the first line shows. Pure."""
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


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


def _lines(path: Path, text: str, known: Mapping[str, object]) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=find_separator(text), strict=True)
    columns = [heading.strip().lower() for heading in next(reader, [])]
    unknown = [column for column in columns if column != NAME and column not in known]
    if unknown:
        column = unknown[0]
        raise ConfigError(f"{path} line 1: {column[:64]!r} is no setting of a connection{did_you_mean(column, known)}.")
    if NAME not in columns or "tenant_id" not in columns or len(set(columns)) != len(columns):
        raise ConfigError(
            f"{path} line 1: the headings must be name, tenant_id and others, each once, as in {HEADINGS}."
        )
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) > len(columns):
            raise ConfigError(f"{path} line {reader.line_num}: there are more cells than headings.")
        given = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if cell.strip()}
        yield Line(reader.line_num, given.pop(NAME, ""), given)
