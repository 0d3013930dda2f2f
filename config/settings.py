"""The configuration in force is one immutable value. What its sections hold: `sections.py`; how it
is read: `reader.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from config.apps import App
from config.connections import ALL, SANDBOX, TAG, Connection, is_connection_name, split_chosen
from config.console import ConsoleSection, Producer
from config.errors import ConfigError, FaultyConnection, UnknownConnection, UnreadConnection
from config.listed import MOST_FAULTS, FaultyLine, Listed
from config.references import Reference
from config.schedules import Schedule
from config.section import Section
from config.sections import (
    BrokerSection,
    GraphSection,
    LedgerSection,
    LogsSection,
    MailSection,
    MetricsSection,
    NotifySection,
    QuotaSection,
    RedisSection,
    ServerSection,
    SmtpSection,
)
from config.values import mask_url

_MOST_TWINS = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration in force. Immutable, not hashable; compare `digest` to see whether anything
    but a secret differs.
    """

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it holds mappings

    redis: RedisSection = field(default_factory=RedisSection)
    broker: BrokerSection = field(default_factory=BrokerSection)
    ledger: LedgerSection = field(default_factory=LedgerSection)
    graph: GraphSection = field(default_factory=GraphSection)
    logs: LogsSection = field(default_factory=LogsSection)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    listed: Listed | None = None
    """The list of connections beside this file; those are among `connections`, too."""
    quota: QuotaSection = field(default_factory=QuotaSection)
    metrics: MetricsSection = field(default_factory=MetricsSection)
    notify: NotifySection = field(default_factory=NotifySection)
    smtp: SmtpSection = field(default_factory=SmtpSection)
    mail: MailSection = field(default_factory=MailSection)
    console: ConsoleSection = field(default_factory=ConsoleSection)
    producers: Mapping[str, Producer] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    timezone: str = "UTC"
    """Of all schedules."""
    source: Path | None = None
    """The file that was read, absolute; None when there was none."""
    server_references: tuple[Reference, ...] = ()
    """References that `redis.url` and `broker.url` were written as; these two are resolved when
    settings are read.
    """
    unmet: tuple[str, ...] = ()
    """What names a connection that the list has no longer, a sentence each."""
    referenced_files: tuple[Path, ...] = field(init=False, default=())
    """Every file that the configuration refers to, sorted; not the configuration itself."""
    twins: Mapping[str, tuple[str, ...]] = field(init=False, default_factory=dict, repr=False)
    """Lines of the list that have one tenant with others, by name: all lines of that tenant."""
    digest: str = field(init=False, default="")
    """SHA-256 over what counts: references instead of secrets, URLs masked, no `source`."""

    def __post_init__(self) -> None:
        for name in ("connections", "schedules", "producers", "apps"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "twins", _find_twins(self))
        object.__setattr__(self, "referenced_files", self._find_files())
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

    @property
    def faulty(self) -> tuple[FaultyLine, ...]:
        """The lines of the list that count for nothing."""
        return self.listed.faulty if self.listed else ()

    @property
    def unread(self) -> tuple[str, ...]:
        """Why the list could not be read at all, and what that means, a sentence each."""
        return self.listed.unread if self.listed else ()

    @property
    def own(self) -> dict[str, Connection]:
        """The connections that stand in no list."""
        listed = self.listed.connections if self.listed else {}
        return {name: one for name, one in self.connections.items() if name not in listed}

    @property
    def complaints(self) -> list[str]:
        """What is wrong with single connections, not with the configuration, a sentence each."""
        return [*self.unread, *(fault for line in self.faulty for fault in line.faults), *self.unmet]

    def connection(self, name: str) -> Connection:
        """Return the connection of that name. Raises `UnknownConnection`, which lists the known
        ones; `FaultyConnection` where its line is faulty, `UnreadConnection` where the list is
        unread.
        """
        try:
            return self.connections[name]
        except KeyError:
            pass
        self._refuse_faulty(name)
        if self.may_be_unread(name):
            raise UnreadConnection(name, self.connection_names, self.unread)
        raise UnknownConnection(name, self.connection_names, built_in=SANDBOX)

    def rehearses(self, name: str) -> bool:
        """Whether a connection is the built-in sandbox, where nobody is mailed."""
        return name == SANDBOX and SANDBOX not in self.connections

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every reference in the configuration."""
        said = [getattr(self, field.name) for field in dataclasses.fields(self)]
        tables = (table for one in said for table in (one.values() if isinstance(one, Mapping) else (one,)))
        of_tables = (table.references for table in tables if isinstance(table, Section))
        return (*self.server_references, *chain.from_iterable(of_tables))

    def _find_files(self) -> tuple[Path, ...]:
        files = {path for reference in self.references if (path := reference.path) is not None}
        trusted = {self.console.ca_file, *(connection.ca_file for connection in self.connections.values())}
        listed = {self.listed.path} if self.listed else set()
        return tuple(sorted(files | {Path(file) for file in trusted if file} | listed))

    def choose(self, text: str, among: Collection[str] | None = None, *, faulty: bool = False) -> list[str]:
        """Return the names of the connections that are meant by names, `tag:TAG` and `all`, with
        commas between them, each once and in this order. `among`: tags and `all` mean these alone.
        `faulty`: those of faulty lines, and any name of a list that could not be read, too, where
        nothing is asked of their tenants.

        Raises `UnknownConnection`, and ConfigError for a tag that nobody has and where a faulty
        line may be meant.
        """
        chosen: dict[str, None] = {}
        for part in split_chosen(text):
            if not faulty:
                self._refuse_faulty(part, among)
            self._refuse_unread(part, among)
            found = sorted({*self._mean(part, among), *(self._mean_faulty(part) if faulty else ())})
            if not found and part != ALL and not part.startswith(TAG):
                self.connection(part)
            if not found:
                told = f"has the tag {part.removeprefix(TAG)}" if part != ALL else "is configured"
                raise ConfigError(f"No connection {told}.")
            chosen |= dict.fromkeys(found)
        return list(chosen)

    def members(self, text: str) -> list[str]:
        """Return the names of the connections that a text means now, sorted. Whom it names and is
        not there, and a tag that nobody has, stands for none: connections come and go.
        """
        parts = split_chosen(text)
        return sorted({name for part in parts for name in (*self._mean(part), *self._mean_faulty(part))})

    def tell_twins(self, names: Iterable[str]) -> list[str]:
        """Return a sentence for each tenant of these connections that other lines have, too."""
        groups = dict.fromkeys(self.twins[name] for name in names if name in self.twins)
        return [describe_twins(group) for group in groups]

    def keeping(self, before: Settings) -> Settings:
        """Return these settings with what was known before of connections that are faulty now."""
        if not (self.listed and self.faulty and before.listed):
            return self
        names = {line.name for line in self.faulty} - self.connections.keys()
        kept = {name: one for name, one in before.listed.connections.items() if name in names}
        listed = dataclasses.replace(self.listed, connections={**self.listed.connections, **kept})
        told = {name: before.connections[name] for name in kept}
        return dataclasses.replace(self, listed=listed, connections={**self.connections, **told})

    def _refuse_faulty(self, part: str, among: Collection[str] | None = None) -> None:
        """Raise where a part of a choice names a faulty line, or may mean one."""
        if part != ALL and not part.startswith(TAG):
            of = [line for line in self.faulty if line.written.casefold() == part]
            if of:
                raise FaultyConnection(part, self.connection_names, [fault for line in of for fault in line.faults])
            return
        faults = [fault for line in self.faulty if among is None or line.name in among for fault in line.faults]
        if faults:
            doubt = (
                f"Nobody can say whether {part} means the connection of a faulty line, so nothing was done: mend what"
                " is told above, or name the connections."
            )
            raise ConfigError([*faults[:MOST_FAULTS], doubt])

    def may_be_unread(self, name: str) -> bool:
        """Tell whether a name may be that of a connection of a list that could not be read."""
        return bool(self.unread) and name not in (*self.connections, SANDBOX) and is_connection_name(name)

    def _refuse_unread(self, part: str, among: Collection[str] | None) -> None:
        """Raise where a part of a choice may mean connections of a list that could not be read."""
        is_one = part != ALL and not part.startswith(TAG)
        if is_one or not self.unread or (among is not None and self.connections.keys() >= set(among)):
            return
        doubt = f"Nobody can say which connections {part} means, so nothing was done: mend the list, or name some."
        raise UnreadConnection(part, self.connection_names, [*self.unread, doubt])

    def _mean_faulty(self, part: str) -> list[str]:
        """Return the names of faulty lines that a part of a choice means, as far as they say so; of
        a list that could not be read any name may be one.
        """
        if self.may_be_unread(part):
            return [part]
        return [
            line.name
            for line in self.faulty
            if line.name and (part in (ALL, line.name) or part.removeprefix(TAG) in (line.tags if TAG in part else ()))
        ]

    def _mean(self, part: str, among: Collection[str] | None = None) -> list[str]:
        if part != ALL and not part.startswith(TAG):
            return [part] if part == SANDBOX or part in self.connections else []
        tag = part.removeprefix(TAG)
        known = {name: one for name, one in self.connections.items() if among is None or name in among}
        return sorted(name for name, one in known.items() if part == ALL or tag in one.tags)


def _find_twins(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the lines of each tenant that has several, by each of their names. A table beside is
    written by hand, and meant.
    """
    by_tenant: dict[str, list[str]] = {}
    for name, connection in (settings.listed.connections if settings.listed else {}).items():
        by_tenant.setdefault(connection.tenant_key, []).append(name)
    shared = [tuple(sorted(names)) for names in by_tenant.values() if len(names) > 1]
    return {name: names for names in shared for name in names}


def describe_twins(names: Sequence[str]) -> str:
    """Return what is so where several connections have one tenant, and what to do. Pure."""
    told, more = names[:_MOST_TWINS], len(names) - _MOST_TWINS
    rest = f"{more:,} more" if more > 0 else told[-1]
    before = ", ".join(told if more > 0 else told[:-1])
    return f"{before} and {rest} are the same tenant: if that is not meant, mend tenant_id in the list of connections."


def _digest(settings: Settings) -> str:
    parts = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    for name in ("source", "unmet", "twins", "server_references", "referenced_files", "digest"):
        parts.pop(name, None)
    if settings.listed:  # as it stands in its file, for there may be thousands
        parts |= {"connections": settings.own, "listed": settings.listed.digest}
    text = json.dumps(_plain(parts), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: object) -> Any:
    """Return a value as JSON knows it, secrets masked as their own text form masks them."""
    if isinstance(value, ServerSection):
        others = {name: _plain(getattr(value, name)) for name in type(value).model_fields if name != "url"}
        return {"url": value.url and mask_url(value.url), **others}
    if isinstance(value, Section):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
