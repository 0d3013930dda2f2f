"""The connections of `connections_file`, built from its lines (`connections_file.py`).

Lines that differ in name, tenant and tags alone are built once and copied: ten thousand take a part
of a second, and share what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin

from config.apps import App, take_from_app
from config.connections import Connection, check_tenant, credential_faults
from config.connections_file import NAME, Line, read_connections_file
from config.errors import ConfigError
from config.section import Section, build_section
from config.values import parse_name

_MOST_FAULTS = 50
_APART = frozenset({"tenant_id", "tags"})
_KEYS = {info.alias or name: name for name, info in Connection.model_fields.items() if name != NAME}
_TABLES = {name for name, info in Connection.model_fields.items() if isinstance(info.default, Section)}
COLUMNS = {key: name for key, name in _KEYS.items() if name not in _TABLES}
"""What a column may be: a setting of a connection; its tables are for the configuration alone."""
_LISTS = {key for key, name in COLUMNS.items() if get_origin(Connection.model_fields[name].annotation) is tuple}


@dataclass(frozen=True, slots=True)
class Listed:
    """The connections of a list, by name. `digest`: SHA-256 of the file."""

    path: Path
    digest: str
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
    return Listed(path, file.digest, connections)


def _build(line: Line, apps: Mapping[str, App], base: Path) -> tuple[Connection | None, list[str]]:
    """Return the connection of a line as far as it is like others, and what is wrong with that."""
    cells: dict[str, Any] = {key: _split(cell) if key in _LISTS else cell for key, cell in line.cells.items()}
    of_app, faults = take_from_app(cells, apps)
    if "app" not in cells:
        faults += credential_faults(cells)
    # Name, tenant and tags are each line's own: any will do here
    values = {**cells, **of_app, NAME: "any", "tenant_id": "contoso.com", "tags": ()}
    context = {"base": base, "section": "connections_file", "from_environment": ()}
    connection, wrong = build_section(Connection, values, context)
    said = [*faults, *((".".join(map(str, where[:1])), fault) for where, fault in wrong)]
    return (None if said else connection), [f"{key} {fault}" if key else f"it {fault}" for key, fault in said]


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


def _whose(line: Line) -> str:
    return f"{line.name[:64]!r}"
