"""The configuration has sections: what may stand in each, its default, its form. This is the only
list of the settings there are.

What goes for several sections at once is checked in `reader.py`; the tables with names are in
`connections.py` and `schedules.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, get_origin

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, field_serializer

from config.apps import App
from config.connections import Connection
from config.console import ConsoleSection, Producer
from config.mail import Rate, parse_sender, parse_smtp_url
from config.notify import parse_host, parse_notify, target_fault
from config.schedules import Schedule
from config.section import Flag, OptionalReference, References, Section, as_list, one_of, optional, path_of
from config.sources import Path_
from config.values import (
    BROKER_SCHEMES,
    REDIS_SCHEMES,
    Limit,
    Reserve,
    mask_url,
    parse_seconds,
    parse_server_url,
)

LogForm = Literal["auto", "json", "human"]
_FORMS: tuple[LogForm, ...] = ("auto", "json", "human")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]{0,62}[A-Za-z0-9])?")

_Seconds = Annotated[float, PlainValidator(parse_seconds)]
_Reserve = Annotated[Reserve, PlainValidator(Reserve.parse), PlainSerializer(str)]
_Limit = Annotated[Limit, PlainValidator(Limit.parse), PlainSerializer(str)]


def _check_prefix(value: object) -> str:
    # No braces (they choose a cluster slot), no blanks or wildcards (prefixes are put into key
    # patterns).
    if isinstance(value, str) and _PREFIX.fullmatch(value):
        return value
    raise ValueError("must be letters, digits and . _ : - between them (64 characters at most)")


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


def _check_audit_log(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.startswith("/") and "\0" not in value):
        return value
    raise ValueError("must be the whole path of a file, such as /var/log/usher/audit.log or /dev/stderr")


class ServerSection(Section):
    """A section with a URL, which may hold a password: masked wherever shown, never pickled."""

    url: str | None = None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        others = [(name, value) for name, value in super().__repr_args__() if name != "url"]
        return [("url", self.url and mask_url(self.url)), *others]

    @field_serializer("url")
    def _masked(self, url: str | None) -> str | None:
        return url and mask_url(url)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a server's URL may hold a password and is never pickled")


class RedisSection(ServerSection):
    """`[redis]`: the ledger's server; without a URL a private one is started (embedded mode)."""

    url: Annotated[str | None, optional(parse_server_url, REDIS_SCHEMES)] = None


class BrokerSection(ServerSection):
    """`[broker]`: what carries Celery's messages, where that is not the Redis of the ledger."""

    url: Annotated[str | None, optional(parse_server_url, BROKER_SCHEMES)] = None
    quorum: Flag = False


class LedgerSection(Section):
    """`[ledger]`: what is kept, for how long, and the times its promises rest on."""

    key: References = ()
    keep_s: _Seconds = Field(default=30 * 86_400.0, alias="keep")
    audit_keep_s: Annotated[float, PlainValidator(_check_audit_keep)] = Field(
        default=400 * 86_400.0, alias="audit_keep"
    )
    """0: no audit trail is kept."""
    audit_log: Annotated[str | None, PlainValidator(_check_audit_log)] = None
    lease_s: _Seconds = 15.0
    settle_s: _Seconds = 60.0
    remember_s: _Seconds = Field(default=60 * 86_400.0, alias="remember")
    prefix: Annotated[str, PlainValidator(_check_prefix)] = "usher"


class GraphSection(Section):
    """`[graph]`: how Graph is called."""

    timeout_s: _Seconds = 25.0


class LogsSection(Section):
    """`[logs]`: how the programs write what they log."""

    form: Annotated[LogForm, one_of(*_FORMS)] = "auto"
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
    writes_per_app: _Limit = Limit(35_000, 300.0)
    units_per_app_and_tenant: _Limit = Limit(3_500, 10.0)
    units_per_app: _Limit = Limit(150_000, 20.0)
    sign_in_reads_per_app: _Limit = Limit(10, 60.0)
    interactive_reserve: _Reserve = Reserve(0.002)


class MetricsSection(Section):
    """`[metrics]`: where `usher metrics` listens, and what it asks of whoever reads."""

    listen: Annotated[str, PlainValidator(_check_listen)] = "127.0.0.1:9464"
    login: OptionalReference = None
    token: OptionalReference = None


class NotifySection(Section):
    """`[notify]`: who is told of jobs that name nobody, and how webhooks know that it is us."""

    to: Annotated[str | None, optional(parse_notify)] = None
    secret: References = ()
    hosts: Annotated[tuple[Annotated[str, PlainValidator(parse_host)], ...], BeforeValidator(as_list)] = ()


class SmtpSection(Section):
    """`[smtp]`: the server by which connections with `deliver = "smtp"` mail their guests."""

    url: Annotated[str | None, optional(parse_smtp_url)] = None
    password: OptionalReference = None
    sender: Annotated[str | None, optional(parse_sender)] = Field(default=None, alias="from")
    reply_to: Annotated[str | None, optional(parse_sender)] = None
    rate: Annotated[Rate, PlainValidator(Rate.parse), PlainSerializer(str)] = Rate()


class MailSection(Section):
    """`[mail]`: what usher's own mails say."""

    templates: Annotated[str | None, path_of("a folder with templates")] = None
    """A folder whose templates go before those that come with usher."""


SECTIONS: dict[str, type[Section]] = {
    "redis": RedisSection,
    "broker": BrokerSection,
    "ledger": LedgerSection,
    "graph": GraphSection,
    "logs": LogsSection,
    "quota": QuotaSection,
    "metrics": MetricsSection,
    "notify": NotifySection,
    "smtp": SmtpSection,
    "mail": MailSection,
    "console": ConsoleSection,
}
NAMED: dict[str, type[Section]] = {
    "apps": App,
    "connections": Connection,
    "schedules": Schedule,
    "producers": Producer,
}
"""Sections that hold tables by name."""
TABLES = (*SECTIONS, *NAMED)


def all_sections() -> list[tuple[str, type[Section]]]:
    """Return every table's path and model; NAME stands for a table's own name."""
    found: list[tuple[str, type[Section]]] = [*SECTIONS.items()]
    for name, model in NAMED.items():
        found.append((f"{name}.NAME", model))
        found += ((f"{name}.NAME.{inner}", table) for inner, table in tables_of(model).items())
    return found


def is_list(path: Path_) -> bool:
    """Whether a setting is a list, which an environment variable spells in JSON or with commas."""
    model, keys = SECTIONS.get(str(path[0])), path[1:]
    if named := NAMED.get(str(path[0])):
        model, keys = named, path[2:]
        if len(keys) > 1:
            model, keys = tables_of(named).get(str(keys[0])), keys[1:]
    if model is None or len(keys) != 1:
        return False
    name = keys_of(model).get(str(keys[0]))
    return name is not None and get_origin(model.model_fields[name].annotation) is tuple


def tables_of(model: type[Section]) -> dict[str, type[Section]]:
    """Return the tables within a table, by name."""
    found = {name: info.default for name, info in model.model_fields.items()}
    return {name: type(default) for name, default in found.items() if isinstance(default, Section)}


def keys_of(model: type[Section]) -> dict[str, str]:
    """Return the keys as they are written and the field each one fills. A connection's name is its
    table's, not a key; a table within a table has keys of its own.
    """
    tables = tables_of(model)
    return {info.alias or name: name for name, info in model.model_fields.items() if name not in {"name", *tables}}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connection may need of other sections. `smtp`: None where that is faulty itself.
    `keeps_links`: redeem links are kept, which mail of one's own tells.
    """

    notify: NotifySection
    smtp: SmtpSection | None
    keeps_links: bool

    def faults(self, connection: Connection) -> list[tuple[str, str]]:
        """Return (key, half a sentence) for what a connection needs and is not there. Pure."""
        found: list[tuple[str, str]] = []
        if target := connection.notify:
            fault = target_fault(target, self.notify.hosts, signed=bool(self.notify.secret))
            found += [("notify", fault)] if fault else []
        if self.smtp and connection.deliver == "smtp":
            of = (("smtp.url", self.smtp.url), ("smtp.from", self.smtp.sender))
            if missing := [key for key, value in of if value is None]:
                found.append(("deliver", f'is "smtp", which needs {" and ".join(missing)}'))
        if connection.mails_itself and not self.keeps_links:
            needs = f'is "{connection.deliver}", which needs ledger.key: without it no redeem link is kept'
            found.append(("deliver", needs))
        return found
