"""The list that `connections_file` names is written by usher, too: a line at its end, or one out of
it. Separator, columns, order and every other line stay as they are, byte by byte.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from config.connections_file import HEADINGS, NAME, find_separator
from config.errors import ConfigError
from config.reader import load_settings
from config.settings import Settings
from config.writing import refuse_worse, replace_file


@contextmanager
def begun_list(path: Path | None) -> Iterator[None]:
    """Let there be a list meanwhile: one that is missing or empty gets its headings, and is as it
    was before where an exception leaves no line in it. Raises `ConfigError`.
    """
    was_there = path is not None and path.exists()
    if path is None or (was_there and path.stat().st_size):
        yield
        return
    begun = f"{HEADINGS}\n".encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(begun)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from None
    try:
        yield
    except BaseException:
        if path.read_bytes() == begun:
            path.write_bytes(b"") if was_there else path.unlink()
        raise


def append_line(settings: Settings, name: str, cells: Mapping[str, str]) -> Path:
    """Append a connection to the list of the settings; the whole is read back before it takes the
    file's place. Returns the list.

    Raises `ConfigError` with nothing changed: a cell has no column, the result could not be read,
    or the file cannot be written.
    """
    by_hand = f"Add a line for connection {name} to it yourself."
    return _change(settings, by_hand, lambda path, before: with_line(path, before, {NAME: name, **cells}))


def remove_line(settings: Settings, name: str) -> Path:
    """Take a connection's line out of the list of the settings; the whole is read back before it
    takes the file's place. Returns the list.

    Raises `ConfigError` with nothing changed: there is no such line (any more), a schedule or
    producer names the connection, or the file cannot be written.
    """
    by_hand = f"Take the line of connection {name} out of it yourself."
    return _change(settings, by_hand, lambda path, before: without_line(path, before, name))


def find_line(settings: Settings, name: str) -> tuple[dict[str, str], str]:
    """Return a connection's cells by column, the empty ones too, and how headings and line are
    written; nothing where the list has no such line (any more).
    """
    assert settings.listed is not None
    try:
        records = list(_records(settings.listed.path.read_bytes().decode("utf-8-sig")))
    except (OSError, ValueError, csv.Error):
        return {}, ""
    columns, headings = records[0] if records else ([], "")
    for cells, text in records[1:]:
        found = dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))
        if found.get(NAME) == name:
            return found, "\n".join((headings.rstrip("\r\n"), text.rstrip("\r\n")))
    return {}, ""


def with_line(path: Path, before: bytes, cells: Mapping[str, str]) -> bytes:
    """Return a list with one more line. Raises `ConfigError` for a cell without a column. Pure."""
    text = before.decode("utf-8-sig")
    columns, _ = next(_records(text), ([], ""))
    if missing := [column for column in cells if column not in columns]:
        raise ConfigError(
            f"{path} has no column {missing[0]}, which connection {cells[NAME]} needs: add it to the first line."
            " Nothing was written."
        )
    ending = "\r\n" if "\r\n" in text else "\n"
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=find_separator(text), lineterminator=ending).writerow(
        [cells.get(column, "") for column in columns]
    )
    gap = "" if text.endswith("\n") else ending
    return before + f"{gap}{line.getvalue()}".encode()


def without_line(path: Path, before: bytes, name: str) -> bytes:
    """Return a list without the line of that name. Raises `ConfigError` without one. Pure."""
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    records = _records(before.decode("utf-8-sig"))
    columns, headings = next(records, ([], ""))
    place = columns.index(NAME)
    kept = [text for cells, text in records if cells[place : place + 1] != [name]]
    after = mark + "".join([headings, *kept]).encode()
    if after == before:
        raise ConfigError(f"{path} has no connection {name}; nothing was written.")
    return after


def _records(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each line, trimmed (the headings in lower case), and how it is written: in
    quotes it may go over several. Pure.
    """
    written: list[str] = []

    def note(line: str) -> str:
        written.append(line)
        return line

    lines = io.StringIO(text, newline="")
    reader = csv.reader(map(note, lines), delimiter=find_separator(text), strict=True)
    for number, cells in enumerate(reader):
        trimmed = [cell.strip() for cell in cells]
        yield [cell.lower() for cell in trimmed] if number == 0 else trimmed, "".join(written)
        written.clear()


def _change(settings: Settings, by_hand: str, change: Callable[[Path, bytes], bytes]) -> Path:
    """Let the list be what `change` makes of it. Returns the list. Raises `ConfigError`."""
    assert settings.listed is not None
    path = settings.listed.path
    if settings.unread:
        raise ConfigError([*settings.unread[:-1], f"Nothing was written. {by_hand}"])
    try:
        before = path.read_bytes()
        after = change(path, before)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, csv.Error):  # somebody writes it just now: it was sound a moment ago
        raise ConfigError(f"{path} is no list of connections as it stands; nothing was written. {by_hand}") from None
    replace_file(path, before, after, by_hand, lambda scratch: _read_back(settings, scratch, path))
    return path


def _read_back(settings: Settings, scratch: Path, path: Path) -> None:
    """Raise `ConfigError` when usher could not work with the list in the other's place."""
    env = {**os.environ, "USHER_CONNECTIONS_FILE": str(scratch)}
    refuse_worse(settings.complaints, lambda: load_settings(env, settings.source), scratch, path)
