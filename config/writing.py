"""Configuration is written for people: the table of a connection or a producer at the end of the
file or out of it, and the private files beside it.

All that stands in the file stays, comments included; what would not be read back as it was meant is
not written.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from config.errors import ConfigError
from config.reader import load_settings
from config.settings import Settings
from config.sources import find_file

NEW_FILE = Path("usher.toml")
"""Where a configuration begins when there is none: the first place it is looked for."""


_LINE = re.compile(r" line [0-9]+")
_ONE = {"apps": "application", "connections": "connection", "producers": "producer"}


def file_to_write(env: Mapping[str, str] = os.environ) -> Path:
    """Return the file that a new connection is written to: the one in force, else the one
    `USHER_CONFIG` names, else ./usher.toml.
    """
    return find_file(env, None) or NEW_FILE.absolute()


def write_private(path: Path, content: bytes) -> Path:
    """Write a new file that only its owner may read (0600), in a folder that is made 0700 where it
    is missing.

    Raises `ConfigError` where something of that name is there already (it may be the only copy of a
    key) or it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already and is not overwritten: something may need it. Delete it if nothing"
            " does (a producer or a connection that was removed leaves its file behind), or choose another name."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


def table_text(section: str, name: str, values: Mapping[str, object]) -> str:
    """Return a table of a section with names as TOML. Pure."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[{section}.{name}]", *lines, ""])


def append_table(
    path: Path, section: str, name: str, values: Mapping[str, object], env: Mapping[str, str] = os.environ
) -> None:
    """Append a table to the file, made (0600) where it is missing; the whole is read back before it
    takes the file's place. `section`: `apps`, `connections` or `producers`.

    Raises `ConfigError` with nothing changed: one of that name is there, the result could not be
    read, or the file cannot be written (the sentence then says what to put in by hand).
    """
    table = table_text(section, name, values)
    before = _read(path.resolve())
    text = before.decode("utf-8-sig")
    ending = "\r\n" if "\r\n" in text else "\n"
    known = _parsed(path, text).get(section, {})
    if isinstance(known, dict) and name in known:
        raise ConfigError(f"{path} has a {_ONE[section]} {name} already: choose another name, or change it there.")
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    after = before + f"{gap}{table}".replace("\n", ending).encode()
    _replace(path, before, after, env, f"Put this into the configuration yourself:\n{table}")


def put_first(path: Path, key: str, value: str) -> None:
    """Write a setting that stands in no table as the file's first line, as `append_table` does."""
    before = _read(path.resolve())
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    text = before.decode("utf-8-sig")
    ending = "\r\n" if "\r\n" in text else "\n"
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    after = mark + f"{line}{ending}{ending if text else ''}{text}".encode()
    _replace(path, before, after, os.environ, f"Put this at the top of the configuration yourself:\n{line}")


def remove_table(path: Path, section: str, name: str, env: Mapping[str, str] = os.environ) -> None:
    """Take a table out of the file. All else stays, comments included; the whole is read back
    before it takes the file's place.

    Raises `ConfigError` with nothing changed: there is no such table, something else names it, or
    the file cannot be written.
    """
    one = _ONE[section]
    before = _read(path.resolve())
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    text = before.decode("utf-8-sig")
    wanted = _parsed(path, text)
    known = wanted.get(section)
    if not isinstance(known, dict) or name not in known:
        raise ConfigError(f"{path} has no {one} {name}; nothing was written.")
    del known[name]
    by_hand = f"Take {one} {name} out of it yourself."
    for after in _without_table(text, section, name):
        if _content(after, section) == _content_of(wanted, section):
            _replace(path, before, mark + after.encode(), env, by_hand)
            return
    raise ConfigError(f"{path} does not hold {one} {name} in one table of its own; nothing was written. {by_hand}")


def _without_table(text: str, section: str, name: str) -> Iterator[str]:
    """Yield the text without the table, up to each line that may begin the next one; a line in a
    long value may look like that. Pure.
    """
    lines = text.splitlines(keepends=True)
    own = re.compile(rf"\s*\[\s*{section}\s*\.\s*([\"']?){re.escape(name)}\1\s*\]")
    heads = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    for start in (head for head in heads if own.match(lines[head])):
        for end in (*(head for head in heads if head > start), len(lines)):
            left, rest = lines[:start], end
            while rest > start + 1 and lines[rest - 1].strip()[:1] in ("", "#"):
                rest -= 1  # a comment above the next table is about that
            while left and not left[-1].strip():
                left.pop()
            yield "".join([*left, *lines[rest:]] if left else lines[rest:]).lstrip("\r\n")


def _content(text: str, section: str) -> dict[str, object] | None:
    try:
        return _content_of(tomllib.loads(text), section)
    except ValueError:
        return None


def _content_of(tables: dict[str, object], section: str) -> dict[str, object]:
    """Return what matters of a file: whether it has no section or an empty one is the same."""
    return {name: table for name, table in tables.items() if name != section or table}


def _replace(path: Path, before: bytes, after: bytes, env: Mapping[str, str], by_hand: str) -> None:
    """Let `after` be the configuration, as `replace_file` does."""
    replace_file(path, before, after, by_hand, lambda scratch: _read_back(scratch, path, env))


def replace_file(path: Path, before: bytes, after: bytes, by_hand: str, read_back: Callable[[Path], None]) -> None:
    """Let `after` take the place of what the file held `before`, once `read_back` took it, which
    raises ConfigError. `by_hand`: what to do where it cannot be written.
    """
    real = path.resolve()  # a link stays a link
    scratch = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        read_back(scratch)
        if real.exists():
            if _read(real) != before:
                raise ConfigError(f"{path} was changed by somebody else meanwhile; nothing was written. Try again.")
            _take_over(real, scratch)
        scratch.replace(real)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror or error}). {by_hand}") from None
    finally:
        scratch.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from None


def _parsed(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{path} is not TOML as it stands; mend it first (usher connections list says where)."
        ) from None


def _read_back(scratch: Path, path: Path, env: Mapping[str, str]) -> None:
    """Raise `ConfigError` when usher could not work with the result. Relative paths in it start at
    the same folder.
    """
    try:
        before = load_settings(env, path).complaints if path.exists() else []
    except ConfigError:  # whatever is wrong with it may be mended by this very change
        before = []
    refuse_worse(before, lambda: load_settings(env, scratch), scratch, path)


def refuse_worse(before: Sequence[str], load: Callable[[], Settings], scratch: Path, path: Path) -> None:
    """Raise `ConfigError` where what stands in `scratch` could not be read in the place of `path`,
    or has more to complain of than there was `before`.
    """
    try:
        known = {_LINE.sub("", fault) for fault in before}  # another line may have gone
        faults = [fault.replace(str(scratch), str(path)) for fault in load().complaints]
        faults = [fault for fault in faults if _LINE.sub("", fault) not in known]
    except ConfigError as error:
        faults = [fault.replace(str(scratch), str(path)) for fault in error.faults]
    if faults:
        raise ConfigError([*faults, "Nothing was written."])


def _take_over(old: Path, new: Path) -> None:
    """Give the new file the rights and, as far as we may, the owner of the old one: a service
    account goes on reading it.
    """
    kept = old.stat()
    new.chmod(stat.S_IMODE(kept.st_mode))
    if (kept.st_uid, kept.st_gid) != (os.getuid(), os.getgid()):
        try:
            os.chown(new, kept.st_uid, kept.st_gid)
        except OSError as error:
            raise OSError(error.errno, f"it belongs to another account, and {error.strerror}") from None
