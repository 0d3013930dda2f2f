"""The connections of `connections_file`, built from its lines (`connections_file.py`).

Lines that differ in name, tenant and tags alone are built once and copied: ten thousand take a part
of a second, and share what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin
from urllib.parse import urlsplit

from config.apps import App, take_from_app
from config.clouds import CLOUDS
from config.connections import Connection, check_tenant, credential_faults
from config.connections_file import NAME, Line, read_connections_file
from config.errors import ConfigError
from config.section import Section, build_section
from config.values import is_loopback, parse_name

_MOST_FAULTS = 50
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
class Listed:
    """The connections of a list, by name. `digest`: SHA-256 of the file. `ends_whole`: with a
    line break.
    """

    path: Path
    digest: str
    ends_whole: bool
    connections: Mapping[str, Connection] = field(repr=False)


def read_listed(path: Path, apps: Mapping[str, App], others: Iterable[str], base: Path) -> Listed:
    """Read a list. `others`: names that are taken; relative paths in cells start at `base`. Raises
    ConfigError with a sentence for each fault, by its line.
    """
    file = read_connections_file(path, COLUMNS)
    taken, faults = frozenset(others), []
    models: dict[tuple[tuple[str, str], ...], Connection | None] = {}
    connections: dict[str, Connection] = {}
    for line in file.lines:
        alike = tuple(item for item in line.cells.items() if item[0] not in _APART)
        if alike not in models:
            models[alike], found = _build(line, apps, base)
            faults += [f"{path} line {line.number}: {fault}." for fault in found]
        model = models[alike]
        try:
            name = parse_name(line.name)
            tenant = check_tenant(line.cells.get("tenant_id"))
            tags = tuple(parse_name(tag) for tag in _split(line.cells.get("tags", "")))
        except ValueError as error:
            faults.append(f"{path} line {line.number}: {_whose(line)} {error}.")
            continue
        if name in taken:
            faults.append(f"{path} line {line.number}: there is a connection {name} in the configuration already.")
        elif model is not None:
            connections[name] = model.for_tenant(name, tenant, tags)
    if faults:
        raise ConfigError(faults[:_MOST_FAULTS])
    return Listed(path, file.digest, file.ends_whole, connections)


def _build(line: Line, apps: Mapping[str, App], base: Path) -> tuple[Connection | None, list[str]]:
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
    if connection and connection.sync.source_attribute == connection.clean.expiry_attribute:
        said.append(("sync.source_attribute", "must be another attribute than clean.expiry_attribute"))
    return (None if said else connection), [f"{key} {fault}" if key else f"it {fault}" for key, fault in said]


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


def _whose(line: Line) -> str:
    return f"{line.name[:64]!r}"
