"""The list that `connections_file` names is written by usher, too: a line at its end. Separator,
columns, order and every other line stay as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from config.connections_file import NAME
from config.errors import ConfigError
from config.settings import Settings
from config.writing import replace_file


def append_line(settings: Settings, name: str, cells: Mapping[str, str]) -> Path:
    """Append a connection to the list of the settings; the whole is read back before it takes the
    file's place. Returns the list.

    Raises `ConfigError` with nothing changed: a cell has no column, the result could not be read,
    or the file cannot be written.
    """
    assert settings.listed is not None
    path = settings.listed.path
    try:
        before = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from None
    after = with_line(path, before, {NAME: name, **cells})
    by_hand = f"Add a line for connection {name} to it yourself."
    replace_file(path, before, after, by_hand, lambda scratch: _read_back(settings, scratch, path))
    return path


def with_line(path: Path, before: bytes, cells: Mapping[str, str]) -> bytes:
    """Return a list with one more line. Raises `ConfigError` for a cell that has no column.
    Pure.
    """
    text = before.decode("utf-8-sig")
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    headings = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), [])
    columns = [heading.strip().lower() for heading in headings]
    if missing := [column for column in cells if column not in columns]:
        raise ConfigError(
            f"{path} has no column {missing[0]}, which connection {cells[NAME]} needs: add it to the first line."
            " Nothing was written."
        )
    ending = "\r\n" if "\r\n" in text else "\n"
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=separator, lineterminator=ending).writerow([cells.get(column, "") for column in columns])
    gap = "" if text.endswith("\n") else ending
    return before + f"{gap}{line.getvalue()}".encode()


def _read_back(settings: Settings, scratch: Path, path: Path) -> None:
    from config.listed import read_listed

    listed = settings.listed.connections if settings.listed else {}
    own = [name for name in settings.connections if name not in listed]
    base = settings.source.parent if settings.source else Path.cwd()
    try:
        read_listed(scratch, settings.apps, own, base)
    except ConfigError as error:
        told = [fault.replace(str(scratch), str(path)) for fault in error.faults]
        raise ConfigError([*told, "Nothing was written."]) from None
