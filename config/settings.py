"""All settings, read and checked as a whole: `load_settings()` returns an immutable `Settings` or raises every fault at once.

docs/configuration.md is the reference of the keys. The models here are the only list of them: names, defaults, meaning.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypeVar, get_origin

from pydantic import Field, PlainSerializer, PlainValidator, ValidationError, field_serializer

from config.connections import SANDBOX, Connection, Domains, OptionalReference, References, Section, credential_faults
from config.errors import ConfigError, ReferenceError_, UnknownConnection, did_you_mean
from config.notify import parse_notify, target_fault
from config.references import Reference
from config.schedules import Schedule, parse_timezone, table_faults
from config.sources import Faults, Merged, Path_, dotted, find_file, merge
from config.values import (
    BROKER_SCHEMES,
    REDIS_SCHEMES,
    Limit,
    Reserve,
    mask_url,
    parse_flag,
    parse_seconds,
    parse_server_url,
)

__all__ = ["Limit", "Settings", "load_settings", "parse_connection", "parse_schedule", "setting_keys"]

REPLICATION_S = 15.0
"""Seconds a write may need to be seen by a read, beside the request's own time. Observed: 10 s is too short (GRAPH.md 1.4)."""

LogForm = Literal["auto", "json", "human"]
_FORMS: tuple[LogForm, ...] = ("auto", "json", "human")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_S = TypeVar("_S", bound=Section)
_SYSLOG = re.compile(r"(?:udp|tcp)://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]{0,62}[A-Za-z0-9])?")

_Seconds = Annotated[float, PlainValidator(parse_seconds)]
_Reserve = Annotated[Reserve, PlainValidator(Reserve.parse), PlainSerializer(str)]
_Limit = Annotated[Limit, PlainValidator(Limit.parse), PlainSerializer(str)]


def _check_redis_url(value: object) -> str | None:
    return None if value is None else parse_server_url(value, REDIS_SCHEMES)


def _check_broker_url(value: object) -> str | None:
    return None if value is None else parse_server_url(value, BROKER_SCHEMES)


def _check_prefix(value: object) -> str:
    # No braces (they choose a cluster slot), no blanks or wildcards (prefixes are put into key patterns).
    if isinstance(value, str) and _PREFIX.fullmatch(value):
        return value
    raise ValueError("must be letters, digits and . _ : - between them (64 characters at most)")


def _check_form(value: object) -> LogForm:
    for form in _FORMS:
        if value == form:
            return form
    raise ValueError(f"must be one of {', '.join(_FORMS)}")


def _check_level(value: object) -> str:
    level = value.lower() if isinstance(value, str) else ""
    if level not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}")
    return level


def _check_listen(value: object) -> str:
    if isinstance(value, str) and value.strip().rpartition(":")[2].isdigit():
        return value.strip()
    raise ValueError("must be HOST:PORT, such as 127.0.0.1:9464")


def _check_audit_keep(value: object) -> float:
    if value in (0, "0") and not isinstance(value, bool):
        return 0.0
    return parse_seconds(value)


def _check_syslog(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.startswith("/") and "\0" not in value):
        return value
    if isinstance(value, str) and _SYSLOG.fullmatch(value):
        return value
    raise ValueError("must be the path of a socket such as /dev/log, or udp://host:514 or tcp://host:601")


class _Server(Section):
    """A section with a URL, which may hold a password: masked in every representation and dump, never pickled."""

    url: str | None = None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        others = [(name, value) for name, value in super().__repr_args__() if name != "url"]
        return [("url", self.url and mask_url(self.url)), *others]

    @field_serializer("url")
    def _masked(self, url: str | None) -> str | None:
        return url and mask_url(url)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a server's URL may hold a password and is never pickled")


class RedisSection(_Server):
    """`[redis]`: the server that holds the ledger; without a URL a private one is started (embedded mode)."""

    url: Annotated[str | None, PlainValidator(_check_redis_url)] = None


class BrokerSection(_Server):
    """`[broker]`: what carries Celery's messages, where that is not the Redis of the ledger."""

    url: Annotated[str | None, PlainValidator(_check_broker_url)] = None
    quorum: Annotated[bool, PlainValidator(parse_flag)] = False


class LedgerSection(Section):
    """`[ledger]`: what is kept, for how long, and the times its promises rest on."""

    key: References = ()
    keep_s: _Seconds = Field(default=30 * 86_400.0, alias="keep")
    audit_keep_s: Annotated[float, PlainValidator(_check_audit_keep)] = Field(
        default=400 * 86_400.0, alias="audit_keep"
    )
    """0: no audit trail is kept."""
    audit_syslog: Annotated[str | None, PlainValidator(_check_syslog)] = None
    lease_s: _Seconds = 15.0
    settle_s: _Seconds = 60.0
    prefix: Annotated[str, PlainValidator(_check_prefix)] = "usher"


class GraphSection(Section):
    """`[graph]`: how Graph is called."""

    timeout_s: _Seconds = 25.0


class LogsSection(Section):
    """`[logs]`: how the programs write what they log."""

    form: Annotated[LogForm, PlainValidator(_check_form)] = "auto"
    level: Annotated[str, PlainValidator(_check_level)] = "info"

    @property
    def number(self) -> int:
        """The level as the standard library counts."""
        return _LEVELS[self.level]


class QuotaSection(Section):
    """`[quota]`: Graph's documented limits. https://learn.microsoft.com/graph/throttling-limits"""

    invitations_per_tenant: _Limit = Limit(150, 5.0)
    writes_per_app_and_tenant: _Limit = Limit(3_000, 150.0)
    writes_per_tenant: _Limit = Limit(18_000, 300.0)
    writes_per_app: _Limit = Limit(70_000, 300.0)
    units_per_app_and_tenant: _Limit = Limit(3_500, 10.0)
    units_per_app: _Limit = Limit(150_000, 20.0)
    interactive_reserve: _Reserve = Reserve(0.05)


class MetricsSection(Section):
    """`[metrics]`: where `usher metrics` listens, and what it asks of whoever reads."""

    listen: Annotated[str, PlainValidator(_check_listen)] = "127.0.0.1:9464"
    login: OptionalReference = None
    token: OptionalReference = None


def _check_notify(value: object) -> str | None:
    return None if value is None else parse_notify(value)


class NotifySection(Section):
    """`[notify]`: who is told of jobs that name nobody themselves, and how webhooks know that it is us."""

    to: Annotated[str | None, PlainValidator(_check_notify)] = None
    secret: References = ()
    hosts: Domains = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration in force. Immutable, not hashable; compare `digest` to see whether anything but a secret differs."""

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it holds mappings

    redis: RedisSection = field(default_factory=RedisSection)
    broker: BrokerSection = field(default_factory=BrokerSection)
    ledger: LedgerSection = field(default_factory=LedgerSection)
    graph: GraphSection = field(default_factory=GraphSection)
    logs: LogsSection = field(default_factory=LogsSection)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    quota: QuotaSection = field(default_factory=QuotaSection)
    metrics: MetricsSection = field(default_factory=MetricsSection)
    notify: NotifySection = field(default_factory=NotifySection)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    timezone: str = "UTC"
    """Of all schedules."""
    source: Path | None = None
    """The file that was read, absolute; None when there was none."""
    server_references: tuple[Reference, ...] = ()
    """References that `redis.url` and `broker.url` were written as; these two are resolved when settings are read."""
    built_in: frozenset[str] = frozenset()
    """Connections that `with_connection` added, rather than the operator."""
    digest: str = field(init=False, default="")
    """SHA-256 over the effective configuration: references instead of secrets, URLs masked, `source` left out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "connections", MappingProxyType(dict(self.connections)))
        object.__setattr__(self, "schedules", MappingProxyType(dict(self.schedules)))
        object.__setattr__(self, "digest", _digest(self))

    @property
    def embedded(self) -> bool:
        """Whether this machine runs a private stack of its own: no Redis was named."""
        return self.redis.url is None

    @property
    def broker_url(self) -> str | None:
        """The broker's URL, the ledger's Redis where no other is named; None in embedded mode."""
        return self.broker.url or self.redis.url

    @property
    def connection_names(self) -> tuple[str, ...]:
        """Every name that may be asked for, sorted, the built-in one included."""
        return tuple(sorted({*self.connections, SANDBOX}))

    def connection(self, name: str) -> Connection:
        """Return the connection of that name. Raises `UnknownConnection`, which lists the known ones."""
        try:
            return self.connections[name]
        except KeyError:
            pass
        raise UnknownConnection(name, self.connection_names, built_in=SANDBOX)

    def with_connection(self, connection: Connection) -> Settings:
        """Return a copy that also holds this connection. One the operator configured under that name is left as it is."""
        if connection.name in self.connections and connection.name not in self.built_in:
            return self
        connections = {**self.connections, connection.name: connection}
        return dataclasses.replace(self, connections=connections, built_in=self.built_in | {connection.name})

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every reference in the configuration."""
        of_connections = (ref for connection in self.connections.values() for ref in connection.references)
        of_metrics = (reference for reference in (self.metrics.login, self.metrics.token) if reference is not None)
        return (*self.server_references, *self.ledger.key, *of_connections, *of_metrics, *self.notify.secret)

    @property
    def referenced_files(self) -> tuple[Path, ...]:
        """Every file that the configuration refers to, sorted; not the configuration itself."""
        files = {path for reference in self.references if (path := reference.path) is not None}
        files |= {Path(connection.ca_file) for connection in self.connections.values() if connection.ca_file}
        return tuple(sorted(files))


_SECTIONS: dict[str, type[Section]] = {
    "redis": RedisSection,
    "broker": BrokerSection,
    "ledger": LedgerSection,
    "graph": GraphSection,
    "logs": LogsSection,
    "quota": QuotaSection,
    "metrics": MetricsSection,
    "notify": NotifySection,
}
_TABLES = (*_SECTIONS, "connections", "schedules")


def _all_sections() -> list[tuple[str, type[Section]]]:
    return [*_SECTIONS.items(), ("connections.NAME", Connection), ("schedules.NAME", Schedule)]


def setting_keys() -> dict[str, object]:
    """Return every dotted key and its default: `{"ledger.keep": 2592000.0, "connections.NAME.tenant_id": None, ...}`."""
    keys: dict[str, object] = {}
    for prefix, model in _all_sections():
        for key, name in _keys(model).items():
            info = model.model_fields[name]
            keys[f"{prefix}.{key}"] = None if info.is_required() else info.default
    return keys


def load_settings(env: Mapping[str, str] = os.environ, path: str | os.PathLike[str] | None = None) -> Settings:
    """Read the file (`path`, else `USHER_CONFIG`, else ./usher.toml, else /etc/usher/usher.toml) and the environment over it.

    Without any file the defaults and the environment count. Secrets are not read, with one exception: a `redis.url` or
    `broker.url` that is itself a reference. Raises ConfigError with every fault found, a sentence each.
    """
    faults = Faults()
    merged = merge(find_file(env, path), env, _is_list, faults)
    if faults and merged.file is not None and not merged.tables:
        raise ConfigError(faults.sentences)  # the file could not be read at all: all else would only seem to be missing
    settings = _Reader(merged, env, faults).read()
    if faults:
        raise ConfigError(faults.sentences)
    return settings


def parse_connection(name: str, table: Mapping[str, object], *, base: Path | None = None) -> Connection:
    """Build one connection from what its table would hold, for set-ups that are not written in a file.

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
    """Build one schedule from what its table would hold. Relative paths start at `base`, else at the current folder.

    Raises ConfigError with every fault.
    """
    faults = Faults()
    merged = Merged({"schedules": {name: dict(table)}}, elsewhere=f"schedule {name}")
    found = _Reader(merged, os.environ, faults, base=base).schedules(connections).get(name)
    if faults or found is None:
        raise ConfigError(faults.sentences)
    return found


def _is_list(path: Path_) -> bool:
    """Whether a setting is a list, which an environment variable spells in JSON or with commas."""
    model: type[Section] | None = Connection if path[0] == "connections" else _SECTIONS.get(str(path[0]))
    if model is None or len(path) != (3 if model is Connection else 2):
        return False
    name = _keys(model).get(str(path[-1]))
    return name is not None and get_origin(model.model_fields[name].annotation) is tuple


def _keys(model: type[Section]) -> dict[str, str]:
    """Return the keys as they are written and the field each one fills; a connection's name is its table's, not a key."""
    return {info.alias or name: name for name, info in model.model_fields.items() if name != "name"}


class _Reader:
    """One reading: takes the merged tables apart section by section, so that a fault in one hides none in another."""

    def __init__(self, merged: Merged, env: Mapping[str, str], faults: Faults, base: Path | None = None) -> None:
        self._merged = merged
        self._env = env
        self._faults = faults
        self._base = base or (merged.file.parent if merged.file else Path.cwd())
        self._server_references: list[Reference] = []

    def read(self) -> Settings:
        """Return the settings; worth nothing if there are faults by then."""
        tables = self._merged.tables
        for name in tables:
            if name not in _TABLES and name != "timezone":
                self._add((name,), f"is not a section usher knows{did_you_mean(name, _TABLES)}")
        for name in ("redis", "broker"):
            self._resolve_url(name)
        redis = self._section(RedisSection, ("redis",), tables.get("redis", {}))
        broker = self._section(BrokerSection, ("broker",), tables.get("broker", {}))
        ledger = self._section(LedgerSection, ("ledger",), tables.get("ledger", {}))
        graph = self._section(GraphSection, ("graph",), tables.get("graph", {}))
        logs = self._section(LogsSection, ("logs",), tables.get("logs", {}))
        quota = self._section(QuotaSection, ("quota",), tables.get("quota", {}))
        metrics = self._section(MetricsSection, ("metrics",), tables.get("metrics", {}))
        notify = self._section(NotifySection, ("notify",), tables.get("notify", {})) or NotifySection()
        self._check_times(graph, ledger)
        if broker and broker.url and redis and not redis.url:
            self._add(("broker", "url"), "needs redis.url too (the private server is its own broker)")
        return Settings(
            redis=redis or RedisSection(),
            broker=broker or BrokerSection(),
            ledger=ledger or LedgerSection(),
            graph=graph or GraphSection(),
            logs=logs or LogsSection(),
            connections=(connections := self._told(self.connections(), notify)),
            quota=quota or QuotaSection(),
            metrics=metrics or MetricsSection(),
            notify=notify,
            schedules=self.schedules([*connections, *self._table("connections")]),
            timezone=self._timezone(),
            source=self._merged.file,
            server_references=tuple(self._server_references),
        )

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
            self._add(path, "must be a table: settings of a connection stand under [connections.NAME]")
            return None
        connection = self._section(Connection, path, table, {"name": name})
        # The model checks the credential only when each field is sound; all faults are to be told at once.
        secrets = table.get("client_secret", [])
        count = len(secrets) if isinstance(secrets, list | tuple) else 1
        for key, fault in credential_faults(count, "certificate" in table, "certificate_password" in table):
            self._add((*path, key) if key else path, fault)
        if connection and set(connection.allowed_domains) & set(connection.blocked_domains):
            self._add((*path, "blocked_domains"), "must not hold a domain that allowed_domains holds too")
        return connection

    def _told(self, connections: dict[str, Connection], notify: NotifySection) -> dict[str, Connection]:
        """Let connections that name nobody themselves tell whom `[notify]` names. A webhook is signed, so it needs the secret."""
        targets = {("notify", "to"): notify.to} | {
            ("connections", name, "notify"): connection.notify for name, connection in connections.items()
        }
        for path, target in targets.items():
            if target and (fault := target_fault(target, notify.hosts, signed=bool(notify.secret))):
                self._add(path, fault)
        told = {"notify": notify.to}
        return {
            name: one if one.notify or not notify.to else one.model_copy(update=told)
            for name, one in connections.items()
        }

    def schedules(self, connections: Iterable[str]) -> dict[str, Schedule]:
        """Return the schedules that are sound, by name; `connections` are the names that they may use."""
        found: dict[str, Schedule] = {}
        for name, table in self._table("schedules").items():
            path = ("schedules", name)
            if name == "timezone":
                self._add(
                    path, "stands at the top of the file, before the first table: it is the same for all schedules"
                )
                continue
            if not isinstance(table, dict):
                self._add(path, "must be a table: what is done and when stands under [schedules.NAME]")
                continue
            from_environment = any(place[:2] == path for place in self._merged.variables)
            args, faults = table_faults(table, connections, Path.cwd() if from_environment else self._base)
            schedule = self._section(Schedule, path, table, {"name": name})
            for where, fault in faults:
                self._add((*path, *where), fault)
            if schedule is not None and not faults:
                found[name] = schedule.model_copy(update={"args": args})
        return found

    def _section(
        self, model: type[_S], path: tuple[str, ...], table: object, fixed: Mapping[str, object] = MappingProxyType({})
    ) -> _S | None:
        if not isinstance(table, dict):
            self._add(path, "must be a table")
            return None
        known = _keys(model)
        for key in table:
            if key not in known:
                self._add((*path, key), f"is not a setting usher knows{_hint(path, key, known)}")
        values = {key: value for key, value in table.items() if key in known}
        from_environment = {name for key, name in known.items() if (*path, key) in self._merged.variables}
        context = {"base": self._base, "section": dotted(path), "from_environment": from_environment}
        try:
            return model.model_validate({**values, **fixed}, context=context, by_alias=True, by_name=False)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        for fault in found:
            where = tuple(part for part in fault["loc"] if part != "name")  # a bad name is a fault of the whole table
            if len(where) > 1 and not isinstance(table.get(str(where[0])), list):
                where = where[:1]  # one value stood there, not a list
            if fault["loc"]:  # one without a place is the model's own check of the credential, made above
                self._add((*path, *where), _predicate(fault))
        return None

    def _table(self, name: str) -> dict[str, Any]:
        table = self._merged.tables.get(name, {})
        if isinstance(table, dict):
            return table
        self._add((name,), "must be a table")
        return {}

    def _resolve_url(self, name: str) -> None:
        """Replace a URL that is written as a reference: with a password in it, it may well be kept in a file."""
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
        """A request sent, or its effect, must be visible before its row is looked up, or absence would prove nothing."""
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

    def _add(self, path: Path_, predicate: str) -> None:
        self._faults.add(self._merged.origin(path), f"{dotted(path)} {predicate}")


def _predicate(fault: Any) -> str:
    """Return our half sentence for one of pydantic's faults; its own texts may hold the value."""
    if fault["type"] == "missing":
        return "is missing"
    return str(fault["ctx"]["error"]) if fault["type"] == "value_error" else "has a value of the wrong type"


def _hint(path: tuple[str, ...], key: str, known: Mapping[str, str]) -> str:
    """Return where an unknown key may have been meant to stand: spelt like a known one, or in another section."""
    if close := did_you_mean(key, known):
        return close
    for section, model in _all_sections():
        if key in _keys(model) and section != path[0]:
            return f" (did you mean {section}.{key}?)"
    return ""


def _digest(settings: Settings) -> str:
    parts = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    for name in ("source", "server_references", "built_in", "digest"):
        parts.pop(name, None)
    text = json.dumps(_plain(parts), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: object) -> Any:
    """Return a value as JSON knows it, secrets masked as their own text form masks them."""
    if isinstance(value, _Server):
        others = {name: _plain(getattr(value, name)) for name in type(value).model_fields if name != "url"}
        return {"url": value.url and mask_url(value.url), **others}
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
