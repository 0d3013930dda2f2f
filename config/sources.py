"""Settings are written in one TOML file and the environment, merged; each value remembers where it
came from.

Knows how a setting is spelt in either, not what it means; `sections.py` does.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.references import open_without_waiting

PREFIX = "USHER_"
SHORT_FORMS = {"USHER_REDIS_URL": ("redis", "url"), "USHER_BROKER_URL": ("broker", "url")}
"""Short forms of two settings; they win over the file and over the long form."""

NAMED = ("apps", "connections", "schedules", "producers")
"""Sections that hold tables by name; a hyphen in a name is an underscore in its variables."""

OUTSIDE = ("timezone", "connections_file")
"""Settings that stand in no table."""

PLACES = (Path("usher.toml"), Path("/etc/usher/usher.toml"))
"""Where the file is looked for when nobody names it, the first that exists."""

MAX_BYTES = 4 << 20
"""A thousand connections make some 300 kB; what is larger is not a configuration."""

_AT = re.compile(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Path_ = tuple[str | int, ...]
"""Where a setting stands: `("connections", "contoso", "client_secret", 1)`."""


def dotted(path: Iterable[str | int]) -> str:
    """Return a path as `connections.contoso.client_secret[1]`; odd names quoted as in TOML."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if _BARE.fullmatch(part) else json.dumps(part[:64])
            text += f".{shown}" if text else shown
    return text


def environment_form(path: Iterable[str]) -> str:
    """Return the variable of a setting: `USHER_QUOTA__WRITES_PER_TENANT`; a - becomes _."""
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in path)


@dataclass(slots=True)
class Faults:
    """Sentences collected while reading, each once, in the order they were found."""

    sentences: list[str] = field(default_factory=list)

    def add(self, origin: str, sentence: str) -> None:
        """Add one fault; `origin` is the file or variable to look in."""
        text = f"{origin}: {sentence}."
        if text not in self.sentences:
            self.sentences.append(text)

    def __bool__(self) -> bool:
        return bool(self.sentences)


@dataclass(slots=True)
class Merged:
    """All that was written: nested tables, the file (None without one) and the variable each
    overriding value came from.
    """

    tables: dict[str, Any]
    file: Path | None = None
    variables: dict[Path_, str] = field(default_factory=dict)
    in_file: frozenset[Path_] = frozenset()
    """Sections, and the tables of connections and schedules, that the file holds."""
    elsewhere: str = "environment"
    """What to say of a table that is in neither."""

    def origin(self, path: Path_) -> str:
        """Return the variable or the file that a setting, or the table around it, was written in.

        For one that is missing: the file that holds its neighbours, or the variable that would have
        set it.
        """
        for length in range(len(path), 0, -1):
            if variable := self.variables.get(path[:length]):
                return variable
        table = path[:2] if path[0] in NAMED else path[:1]
        if self.file is not None and table in self.in_file:
            return str(self.file)
        around = [variable for place, variable in self.variables.items() if place[: len(table)] == table]
        if not around or path == table:
            return around[0] if around else self.elsewhere
        return environment_form(str(part) for part in path)


def find_file(env: Mapping[str, str], path: str | os.PathLike[str] | None) -> Path | None:
    """Return the absolute path of the file to read, None when there is none.

    `path` wins over `USHER_CONFIG`, which wins over `PLACES`. A named file that is missing is a
    fault of reading it.
    """
    named = path or env.get("USHER_CONFIG")
    if named:
        return Path(named).absolute()
    for place in PLACES:
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass  # it is there and cannot be read: better said than passed over
        return place.absolute()
    return None


def read_file(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises ConfigError with one sentence: missing, unreadable, not UTF-8, not TOML (with its line).
    """
    fault = ""
    tables: dict[str, Any] = {}
    try:
        tables = tomllib.loads(_read_text(path))
    except OSError as error:
        reasons = {FileNotFoundError: "there is no such file", PermissionError: "this process may not read it"}
        fault = reasons.get(type(error)) or f"it cannot be read ({error.strerror or error})"
    except UnicodeDecodeError:
        fault = "it is not UTF-8 text"
    except RecursionError:
        fault = "it is not TOML: nested too deeply"
    except ValueError as error:  # TOMLDecodeError, and a number of thousands of digits
        fault = _syntax_fault(str(error))
    if fault:  # raised out here so that the file's text does not travel along in the exception's context
        raise ConfigError(f"{path}: {fault}.")
    return tables


def _read_text(path: Path) -> str:
    with open(path, "rb", opener=open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError("larger than 4 MiB")
    return content.decode("utf-8-sig")  # editors on Windows put a byte order mark in front


def _syntax_fault(message: str) -> str:
    match = _AT.fullmatch(message)
    if not match:
        return "it is not TOML: a value cannot be read"
    reason = match[1][:1].lower() + match[1][1:]
    if reason == "invalid value":
        reason += ' (text stands in quotes: key = "text")'
    where = f"line {match[2]}, column {match[3]}" if match[2] else "the end of the file"
    return f"{where} is not TOML: {reason}"


def merge(file: Path | None, env: Mapping[str, str], is_list: Callable[[Path_], bool], faults: Faults) -> Merged:
    """Read the file and lay the environment over it. `is_list` tells which settings take JSON or a
    comma-separated list.

    An empty variable counts as not set, as compose files pass variables on that nobody set.
    """
    merged = Merged({}, file)
    if file is not None:
        try:
            merged.tables = read_file(file)
        except ConfigError as error:
            faults.sentences.extend(error.faults)
        tables = [(section, merged.tables.get(section)) for section in NAMED]
        names = [(section, name) for section, table in tables if isinstance(table, dict) for name in table]
        merged.in_file = frozenset([*((name,) for name in merged.tables), *names])
    for variable, text in sorted(env.items()):
        if variable.startswith(PREFIX) and "__" in variable and text:
            _lay_over(merged, variable, _path_of(variable), text, is_list, faults)
    for variable, path in SHORT_FORMS.items():
        if text := env.get(variable, ""):
            _lay_over(merged, variable, path, text, is_list, faults)
    for name in OUTSIDE:
        if text := env.get(f"{PREFIX}{name.upper()}", ""):
            _lay_over(merged, f"{PREFIX}{name.upper()}", (name,), text, is_list, faults)
    return merged


def _path_of(variable: str) -> Path_:
    path = variable.removeprefix(PREFIX).lower().split("__")
    if path[0] in NAMED and len(path) > 1:
        path[1] = path[1].replace("_", "-")  # a name has no _, and few shells can set a variable with -
    return tuple(path)


def _lay_over(
    merged: Merged, variable: str, path: Path_, text: str, is_list: Callable[[Path_], bool], faults: Faults
) -> None:
    table: Any = merged.tables
    merged.variables[path] = variable
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return  # the file has no table there, which is a fault of its own
    value: object = text
    if is_list(path):
        value = _parse_list(text)
        if value is None:
            faults.add(variable, f"{dotted(path)} must be a JSON list of texts, or texts separated by commas")
            table.pop(path[-1], None)
            return
    table[path[-1]] = value


def _parse_list(text: str) -> list[object] | None:
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None
