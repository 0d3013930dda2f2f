"""The connections of `connections_file`, built from its lines (`connections_file.py`).

Lines that differ in name, tenant and tags alone are built once and copied: ten thousand take a part
of a second, and share what they have in common.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin
from urllib.parse import urlsplit

from config.apps import App, take_from_app
from config.clouds import CLOUDS
from config.connections import Connection, check_connection_name, check_tenant, credential_faults, inner_faults
from config.connections_file import NAME, Line, read_connections_file
from config.errors import ConfigError
from config.section import Section, build_section
from config.sections import Surroundings
from config.values import is_loopback, parse_name

MOST_FAULTS = 50
"""So many are told at once."""
_SHOWN = 36
_MICROSOFTS = {host for cloud in CLOUDS.values() for host in (cloud.login_host, cloud.graph_host)}
_ELSEWHERE = (
    "must lead to a host of Microsoft's, or to one that stands under [apps.NAME]: other systems may write the list, and"
    " whoever does could have the credential sent anywhere"
)
_APART = frozenset({"tenant_id", "tags"})


def _columns(model: type[Section], table: str = "") -> dict[str, bool]:
    """Return the settings of a section as columns, those of its tables as `table.key`, and whether
    each has several values.
    """
    found: dict[str, bool] = {}
    for name, info in model.model_fields.items():
        key = table + (info.alias or name)
        if isinstance(info.default, Section):
            found |= _columns(type(info.default), f"{key}.")
        elif key != NAME:
            found[key] = get_origin(info.annotation) is tuple
    return found


COLUMNS = _columns(Connection)
"""What a column may be, any setting of a connection (`clean.remind_after`), and whether its cells
have several values.
"""


@dataclass(frozen=True, slots=True)
class FaultyLine:
    """A line that counts for nothing. `name`: '' where there is none. `faults`: a sentence each."""

    name: str
    written: str
    """As the name stands in the line."""
    tags: frozenset[str]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The connections of a list, by name, and the lines that are none. `digest`: SHA-256 of the
    file. `ends_whole`: with a line break. `unread`: why nothing of it could be read, a sentence
    each; nobody knows its connections then.
    """

    path: Path
    digest: str
    ends_whole: bool
    connections: Mapping[str, Connection] = field(repr=False)
    faulty: tuple[FaultyLine, ...] = field(default=(), repr=False)
    unread: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def not_read(cls, path: Path, faults: Sequence[str]) -> Listed:
        """Return what is known of a list that could not be read: why, and what that means."""
        means = f"{path}: so its connections are not known now, and what is left for them waits; all others go on."
        return cls(path, "", True, {}, unread=(*faults, means))


@dataclass(frozen=True, slots=True)
class _Model:
    """What lines have in common, or what is wrong with that."""

    connection: Connection | None
    faults: Sequence[str]


def read_listed(
    path: Path, apps: Mapping[str, App], others: Iterable[str], base: Path, surroundings: Surroundings
) -> Listed:
    """Read a list. `others`: names that are taken; relative paths in cells start at `base`.

    A faulty line is left out, and kept as that. Raises ConfigError for what is no list, and where
    lines are there and none is good.
    """
    file = read_connections_file(path, COLUMNS)
    taken = frozenset(others)
    models: dict[tuple[tuple[str, str], ...], _Model] = {}
    connections: dict[str, Connection] = {}
    faulty: list[FaultyLine] = []
    for line in file.lines:
        alike = tuple(item for item in line.cells.items() if item[0] not in _APART)
        if alike not in models:
            models[alike] = _build(line, apps, base, surroundings)
        model = models[alike]
        faults = [line.fault] if line.fault else [*_own_faults(line, taken), *model.faults]
        tags = tuple(_split(line.cells.get("tags", "")))
        if faults or model.connection is None:
            told = tuple(f"{path} line {line.number}: {fault}." for fault in faults)
            faulty.append(FaultyLine("" if _fault_of_name(line) else line.name, line.name, frozenset(tags), told))
        else:
            connections[line.name] = model.connection.for_tenant(line.name, check_tenant(_tenant(line)), tags)
    if faulty and not connections:
        raise ConfigError([fault for line in faulty for fault in line.faults][:MOST_FAULTS])
    return Listed(path, file.digest, file.ends_whole, connections, tuple(faulty))


def _own_faults(line: Line, taken: Container[str]) -> list[str]:
    """Return what is wrong with the cells that are each line's own, half a sentence each."""
    faults = [_fault_of_name(line)]
    if line.name in taken:
        faults.append(f"there is a connection {line.name} in the configuration already")
    try:
        check_tenant(_tenant(line))
    except ValueError as error:
        faults.append(f"tenant_id {error}{_shown(_tenant(line))}" if _tenant(line) else "tenant_id is missing")
    for tag in _split(line.cells.get("tags", "")):
        try:
            parse_name(tag)
        except ValueError:
            of = "tags must be names of a-z, 0-9 and - (64 characters at most) with ; between them"
            faults.append(f"{of}{_shown(tag)}")
    return [fault for fault in faults if fault]


def _fault_of_name(line: Line) -> str:
    try:
        check_connection_name(line.name)
    except ValueError as error:
        return f"name {error}{_shown(line.name)}" if line.name else "name is missing"
    return ""


def _shown(value: str) -> str:
    """Return the end of a sentence with what stands in a cell. Not what is longer than an id: it
    may be a secret in the wrong column.
    """
    return f", and {value!r} stands there" if len(value) <= _SHOWN else ""


def _tenant(line: Line) -> str:
    return line.cells.get("tenant_id", "")


def _build(line: Line, apps: Mapping[str, App], base: Path, surroundings: Surroundings) -> _Model:
    """Return the connection of a line as far as it is like others, and what is wrong with that."""
    cells: dict[str, Any] = {}
    for column, cell in line.cells.items():
        table, _, key = column.rpartition(".")
        of = cells.setdefault(table, {}) if table else cells
        of[key] = _split(cell) if COLUMNS[column] else cell
    of_app, faults = take_from_app(cells, apps)
    faults += [(key, _ELSEWHERE) for key in ("authority", "graph_url") if not _may_lead_to(cells.get(key), apps)]
    if "app" not in cells:
        faults += credential_faults(cells)
    # Name, tenant and tags are each line's own: any will do here
    values = {**cells, **of_app, NAME: "any", "tenant_id": "contoso.com", "tags": ()}
    context = {"base": base, "section": "connections_file", "from_environment": ()}
    connection, wrong = build_section(Connection, values, context)
    said = [*faults, *((_column_of(where), fault) for where, fault in wrong)]
    if "app" in cells and not of_app:  # its client is not missing: the application is
        said = [(key, fault) for key, fault in said if key != "client_id" or "client_id" in cells]
    if connection:
        said += [*inner_faults(connection), *surroundings.faults(connection)]
    told = [f"{key} {fault}" if key else f"it {fault}" for key, fault in said]
    return _Model(None if said else connection, told)


def _may_lead_to(url: str | None, apps: Mapping[str, App]) -> bool:
    """Tell whether credentials may be taken to a host that a line names: Microsoft's, one that an
    application of the configuration names, or this machine.
    """
    if url is None:
        return True
    host = (urlsplit(url).hostname or "").lower()
    named = (urlsplit(known).hostname for app in apps.values() for known in (app.authority, app.graph_url) if known)
    return host in _MICROSOFTS or host in named or is_loopback(host)


def _column_of(where: Sequence[str | int]) -> str:
    """Return the column of a fault: a value that is one of several has its number after that."""
    key = ".".join(map(str, where[:2]))
    return key if key in COLUMNS else str(where[0]) if where else ""


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]
