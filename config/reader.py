"""The configuration is read: the file and the environment over it become `Settings`, or every fault
at once, a sentence each.

What may stand in a section is in `sections.py`; how a setting is spelt in file and environment, in
`sources.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from config.apps import App, take_from_app
from config.connections import SANDBOX, TAG, Connection, choice_fault, credential_faults, inner_faults, split_chosen
from config.console import ConsoleSection, Producer, console_faults, producer_faults, producers_faults
from config.errors import ConfigError, ReferenceError_, did_you_mean
from config.listed import Listed, read_listed
from config.mail import read_smtp_url
from config.notify import target_fault
from config.references import Reference
from config.schedules import Schedule, parse_timezone, table_faults
from config.section import Section, build_section
from config.sections import (
    SECTIONS,
    TABLES,
    GraphSection,
    LedgerSection,
    NotifySection,
    SmtpSection,
    Surroundings,
    all_sections,
    is_list,
    keys_of,
    tables_of,
)
from config.settings import Settings
from config.sources import OUTSIDE, Faults, Merged, Path_, dotted, find_file, merge

REPLICATION_S = 15.0
"""Seconds a write may need to be seen by a read, beside the request's own time. Observed: 10 s is
too short.
"""

_S = TypeVar("_S", bound=Section)


def load_settings(env: Mapping[str, str] = os.environ, path: str | os.PathLike[str] | None = None) -> Settings:
    """Read the file (`path`, else `USHER_CONFIG`, else ./usher.toml, else /etc/usher/usher.toml)
    and the environment over it.

    Without any file the defaults and the environment count. Secrets are not read, with one
    exception: a `redis.url` or `broker.url` that is itself a reference. Raises ConfigError with
    every fault found, a sentence each.
    """
    faults = Faults()
    merged = merge(find_file(env, path), env, is_list, faults)
    if faults and merged.file is not None and not merged.tables:
        raise ConfigError(faults.sentences)  # the file could not be read at all: all else would only seem to be missing
    settings = _Reader(merged, env, faults).read()
    if faults:
        raise ConfigError(faults.sentences)
    return settings


def parse_connection(name: str, table: Mapping[str, object], *, base: Path | None = None) -> Connection:
    """Build one connection from what its table would hold, for set-ups that are not written in a
    file.

    Relative paths start at `base`, else at the current folder. Raises ConfigError with every fault.
    """
    faults = Faults()
    merged = Merged({"connections": {name: dict(table)}}, elsewhere=f"connection {name}")
    reader = _Reader(merged, os.environ, faults, base=base)
    connection = reader.connections().get(name)
    if faults or connection is None:
        raise ConfigError(faults.sentences)
    return connection


def parse_schedule(
    name: str, table: Mapping[str, object], connections: Iterable[str], *, base: Path | None = None
) -> Schedule:
    """Build one schedule from what its table would hold. Relative paths start at `base`, else at
    the current folder.

    Raises ConfigError with every fault.
    """
    faults = Faults()
    merged = Merged({"schedules": {name: dict(table)}}, elsewhere=f"schedule {name}")
    found = _Reader(merged, os.environ, faults, base=base).schedules(connections).get(name)
    if faults or found is None:
        raise ConfigError(faults.sentences)
    return found


def find_list(env: Mapping[str, str] = os.environ, path: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the list that `connections_file` names, there or not; None where none is named."""
    merged = merge(find_file(env, path), env, is_list, Faults())
    return _list_of(merged, merged.file.parent if merged.file else Path.cwd())


def _list_of(merged: Merged, base: Path) -> Path | None:
    named = merged.tables.get("connections_file")
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        return None
    return Path(os.path.normpath((Path.cwd() if ("connections_file",) in merged.variables else base) / named))


_BELONGS_ABOVE = "stands after a table and so belongs to it: write it at the top of the file, before the first [table]"


class _Reader:
    """One reading: takes the merged tables apart section by section, so that a fault in one hides
    none in another.
    """

    def __init__(self, merged: Merged, env: Mapping[str, str], faults: Faults, base: Path | None = None) -> None:
        self._merged = merged
        self._env = env
        self._faults = faults
        self._base = base or (merged.file.parent if merged.file else Path.cwd())
        self._server_references: list[Reference] = []
        self._apps: dict[str, App] | None = None
        self._unmet = Faults()
        """What names a connection that a list has no longer: no fault of the whole."""

    def read(self) -> Settings:
        """Return the settings; worth nothing if there are faults by then."""
        tables = self._merged.tables
        for name in tables:
            if name not in TABLES and name not in OUTSIDE:
                self._add((name,), f"is not a section usher knows{did_you_mean(name, TABLES)}")
        for name in ("redis", "broker"):
            self._resolve_url(name)
        parts: dict[str, Any] = {
            name: self._section(model, (name,), tables.get(name, {})) for name, model in SECTIONS.items()
        }
        redis, broker = parts["redis"], parts["broker"]
        self._check_times(parts["graph"], parts["ledger"])
        if broker and broker.url and redis and not redis.url:
            self._add(("broker", "url"), "needs redis.url too (the private server is its own broker)")
        sections: dict[str, Any] = {name: part or SECTIONS[name]() for name, part in parts.items()}
        keeps_links = not (redis and redis.url and parts["ledger"] and not parts["ledger"].key)
        surroundings = Surroundings(sections["notify"], parts["smtp"], keeps_links)
        listed = self._listed(surroundings)
        found = {**self._fitting(surroundings), **(listed.connections if listed else {})}
        connections = self._told(found, sections["notify"])
        self._check_smtp(parts["smtp"])
        self._check_console(parts["console"])
        names = [*connections, *self._table("connections"), *(line.name for line in (listed.faulty if listed else ()))]
        return Settings(
            **sections,
            connections=connections,
            apps=self.apps,
            listed=listed,
            schedules=self.schedules(names),
            producers=self._producers(names),
            timezone=self._timezone(),
            unmet=() if listed and listed.unread else tuple(self._unmet.sentences),
            source=self._merged.file,
            server_references=tuple(self._server_references),
        )

    @property
    def apps(self) -> dict[str, App]:
        """The applications that are sound, by name."""
        if self._apps is None:
            self._apps = {}
            for name, table in self._table("apps").items():
                app = self._section(App, ("apps", name), table, {"name": name})
                for key, fault in credential_faults(table) if isinstance(table, dict) else ():
                    self._add(("apps", name, key) if key else ("apps", name), fault)
                if app is not None:
                    self._apps[name] = app
        return self._apps

    @property
    def _has_list(self) -> bool:
        return "connections_file" in self._merged.tables

    def _listed(self, surroundings: Surroundings) -> Listed | None:
        """Return the connections of the list that the configuration names. One that cannot be read
        is no fault of the whole: what does not need it goes on.
        """
        named = self._merged.tables.get("connections_file")
        if named is None:
            return None
        path = _list_of(self._merged, self._base)
        if path is None:
            self._add(("connections_file",), "must be the path of a CSV file")
            return None
        base = Path.cwd() if ("connections_file",) in self._merged.variables else self._base
        try:
            return read_listed(path, self.apps, self._table("connections"), base, surroundings)
        except ConfigError as error:
            return Listed.not_read(path, error.faults)

    def connections(self) -> dict[str, Connection]:
        """Return the connections that are sound, by name."""
        found: dict[str, Connection] = {}
        for name, table in self._table("connections").items():
            connection = self._connection(name, table)
            if connection is not None:
                found[name] = connection
        return found

    def _connection(self, name: str, table: object) -> Connection | None:
        path = ("connections", name)
        if not isinstance(table, dict):
            above = name in OUTSIDE
            self._add(
                path,
                _BELONGS_ABOVE if above else "must be a table: settings of a connection stand under [connections.NAME]",
            )
            return None
        models = tables_of(Connection)
        own = {key: value for key, value in table.items() if key not in models}
        inner = {key: self._section(model, (*path, key), table.get(key, {})) for key, model in models.items()}
        sound = {key: section for key, section in inner.items() if section is not None}
        of_app, faults = take_from_app(own, self.apps)
        connection = self._section(Connection, path, own, {**of_app, "name": name, **sound})
        # The model checks the credential only when each field is sound; all faults are to be told
        # at once.
        for key, fault in (*faults, *(() if "app" in own else credential_faults(table))):
            self._add((*path, key) if key else path, fault)
        for key, fault in inner_faults(connection) if connection else ():
            self._add((*path, *key.split(".")), fault)
        return connection

    def _fitting(self, surroundings: Surroundings) -> dict[str, Connection]:
        """Return the connections of the file; what they lack elsewhere is told."""
        found = self.connections()
        for name, connection in found.items():
            for key, fault in surroundings.faults(connection):
                self._add(("connections", name, key), fault)
        return found

    def _told(self, connections: dict[str, Connection], notify: NotifySection) -> dict[str, Connection]:
        """Let connections that name nobody themselves tell whom `[notify]` names. A webhook is
        signed, so it needs the secret.
        """
        if notify.to and (fault := target_fault(notify.to, notify.hosts, signed=bool(notify.secret))):
            self._add(("notify", "to"), fault)
        told = {"notify": notify.to}
        return {
            name: one if one.notify or not notify.to else one.model_copy(update=told)
            for name, one in connections.items()
        }

    def schedules(self, connections: Iterable[str]) -> dict[str, Schedule]:
        """Return the schedules that are sound, by name; `connections`: the names they may use."""
        found: dict[str, Schedule] = {}
        for name, table in self._table("schedules").items():
            path = ("schedules", name)
            if name in OUTSIDE:
                self._add(path, _BELONGS_ABOVE)
                continue
            if not isinstance(table, dict):
                self._add(path, "must be a table: what is done and when stands under [schedules.NAME]")
                continue
            from_environment = any(place[:2] == path for place in self._merged.variables)
            known, chosen = {*connections, SANDBOX}, table.get("connection")
            if self._has_list and isinstance(chosen, str):
                if split_chosen(chosen) and (gone := choice_fault(chosen, known)):
                    self._unmet.add(self._merged.origin(path), f"{dotted((*path, 'connection'))} {gone}")
                known |= {part for part in split_chosen(chosen) if not part.startswith(TAG)}
            args, faults = table_faults(table, known, Path.cwd() if from_environment else self._base)
            schedule = self._section(Schedule, path, table, {"name": name})
            for where, fault in faults:
                self._add((*path, *where), fault)
            if schedule is not None and not faults:
                found[name] = schedule.model_copy(update={"args": args})
        return found

    def _producers(self, connections: Iterable[str]) -> dict[str, Producer]:
        found: dict[str, Producer] = {}
        for name, table in self._table("producers").items():
            path = ("producers", name)
            if not isinstance(table, dict):
                self._add(path, "must be a table: what a producer may do stands under [producers.NAME]")
                continue
            producer = self._section(Producer, path, table, {"name": name})
            for key, fault in producer_faults(producer, connections) if producer else ():
                if self._has_list and key == "connections" and producer and producer.connections:
                    self._unmet.add(self._merged.origin((*path, key)), f"{dotted((*path, key))} {fault}")
                else:
                    self._add((*path, key), fault)
            if producer is not None:
                found[name] = producer
        for name, key, fault in producers_faults(found):
            self._add(("producers", name, key) if key else ("producers", name), fault)
        return found

    def _section(
        self, model: type[_S], path: tuple[str, ...], table: object, fixed: Mapping[str, object] = MappingProxyType({})
    ) -> _S | None:
        if not isinstance(table, dict):
            self._add(path, "must be a table")
            return None
        known = keys_of(model)
        for key in table:
            if key in OUTSIDE:
                self._add((*path, key), _BELONGS_ABOVE)
            elif key not in known:
                self._add((*path, key), f"is not a setting usher knows{_hint(path, key, known)}")
        values = {key: value for key, value in table.items() if key in known}
        from_environment = {name for key, name in known.items() if (*path, key) in self._merged.variables}
        context = {"base": self._base, "section": dotted(path), "from_environment": from_environment}
        section, faults = build_section(model, {**values, **fixed}, context)
        for where, fault in faults:
            if len(where) > 1 and not isinstance(table.get(str(where[0])), list):
                where = where[:1]  # one value stood there, not a list
            self._add((*path, *where), fault)
        return section

    def _table(self, name: str) -> dict[str, Any]:
        table = self._merged.tables.get(name, {})
        if isinstance(table, dict):
            return table
        self._add((name,), "must be a table")
        return {}

    def _resolve_url(self, name: str) -> None:
        """Replace a URL that is a reference: with a password in it, it may be kept in a file."""
        table = self._merged.tables.get(name)
        url = table.get("url") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(url, str) or not url.startswith(("env:", "file:")):
            return
        try:
            base = Path.cwd() if (name, "url") in self._merged.variables else self._base
            reference = Reference.parse(url, base=base, key=f"{name}.url")
            self._server_references.append(reference)
            table["url"] = reference.resolve(self._env).reveal()
            return
        except ReferenceError_ as error:
            self._faults.add(self._merged.origin((name, "url")), error.faults[0].removesuffix("."))
        except ValueError as error:
            self._add((name, "url"), str(error))
        del table["url"]

    def _timezone(self) -> str:
        try:
            return parse_timezone(self._merged.tables.get("timezone", "UTC"))
        except ValueError as error:
            self._add(("timezone",), str(error))
            return "UTC"

    def _check_times(self, graph: GraphSection | None, ledger: LedgerSection | None) -> None:
        """A request sent, or its effect, must be visible before its row is looked up, or absence
        would prove nothing.
        """
        if graph is None or ledger is None:
            return
        replication_s = min(REPLICATION_S, ledger.settle_s / 4)  # scaled down for rehearsals with a short settle time
        if graph.timeout_s + replication_s < ledger.settle_s:
            return
        both: tuple[Path_, ...] = (("ledger", "settle_s"), ("graph", "timeout_s"))
        variables = [self._merged.variables[path] for path in both if path in self._merged.variables]
        self._faults.add(
            " and ".join(variables) or str(self._merged.file),
            f"graph.timeout_s ({graph.timeout_s:g} s) and {replication_s:g} s for replication together must stay below "
            f"ledger.settle_s ({ledger.settle_s:g} s)",
        )

    def _check_smtp(self, smtp: SmtpSection | None) -> None:
        """A user of a server of one's own needs a password."""
        if smtp is None:
            return
        if smtp.url is not None and bool(read_smtp_url(smtp.url).user) != (smtp.password is not None):
            self._add(("smtp", "password"), "and the user in smtp.url go together: one of them is missing")

    def _check_console(self, console: ConsoleSection | None) -> None:
        table = self._merged.tables.get("console", {})
        for key, fault in console_faults(table, console) if console is not None and isinstance(table, dict) else ():
            self._add(("console", key) if key else ("console",), fault)

    def _add(self, path: Path_, predicate: str) -> None:
        self._faults.add(self._merged.origin(path), f"{dotted(path)} {predicate}")


def _hint(path: tuple[str, ...], key: str, known: Mapping[str, str]) -> str:
    """Return what an unknown key may mean: one spelt like it, or in another section."""
    if close := did_you_mean(key, known):
        return close
    for section, model in all_sections():
        if key in keys_of(model) and section != path[0]:
            return f" (did you mean {section}.{key}?)"
    return ""
