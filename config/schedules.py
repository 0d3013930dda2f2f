"""A schedule says what usher does by itself, and when. A new kind of task is a line in `TASKS`, and
a module of that name.

What a task does stands in `tasks/scheduled/`; here stands only what it may be told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator

from config.connections import SANDBOX, choice_fault, means_several
from config.cron import find_zone, next_after, parse_cron, shortest_gap_s
from config.errors import did_you_mean
from config.references import Reference
from config.section import Flag, Section, one_of, optional
from config.values import parse_count, parse_flag, parse_name, parse_redirect_url, parse_seconds, split_url

_TEXT_MOST = 2000

Fault = tuple[tuple[str, ...], str]
"""Where in a schedule's table, and the half sentence that follows the key."""


def _path(value: object, base: Path) -> str:
    """A file, made absolute from the folder it was written in, or an https address."""
    if isinstance(value, str) and value.strip() and "\0" not in value:
        text = value.strip()
        if "://" in text:
            return _url(text, base)
        return os.path.normpath(base / text)
    raise ValueError("must be the path of a list, or its https:// address")


def _url(value: object, base: Path) -> str:
    """An address of a list, or a reference to one: it may hold a password or a signature."""
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        reference = Reference.parse(value.strip(), base=base)
        return f"{reference.kind}:{reference.target}"
    parts = split_url(value, ("https",))
    if "@" in parts.netloc:
        raise ValueError("must be an https:// URL without user name and password")
    return str(value)


def _text(value: object, base: Path) -> str:
    if isinstance(value, str) and 0 < len(value) <= _TEXT_MOST:
        return value
    raise ValueError(f"must be text of {_TEXT_MOST:,} characters at most")


def _plain(parse: Callable[[object], Any]) -> Callable[[object, Path], Any]:
    return lambda value, base: parse(value)


@dataclass(frozen=True, slots=True)
class TaskKind:
    """What a task may be told: its arguments with their checks, and if it is of one connection."""

    args: Mapping[str, Callable[[object, Path], Any]]
    needs_connection: bool = True
    one_of: tuple[str, ...] = field(default=())
    """Exactly one of these has to be given."""
    reads_tenant: bool = False
    """Whether each run reads all guests of the tenant, or all of its applications."""


TASKS: Mapping[str, TaskKind] = {
    "invite_file": TaskKind(
        {
            "path": _path,
            "url": _url,
            "redirect_url": _plain(parse_redirect_url),
            "message": _text,
            "language": _text,
            "send_message": _plain(parse_flag),
            "strict": _plain(parse_flag),
        },
        one_of=("path", "url"),
    ),
    "sync_file": TaskKind(
        {
            "path": _path,
            "url": _url,
            "source": _plain(parse_name),
            "adopt": _plain(parse_flag),
            "confirm": _plain(parse_flag),
        },
        one_of=("path", "url"),
        reads_tenant=True,
    ),
    "check_connections": TaskKind({"within": _plain(parse_seconds)}, needs_connection=False),
    "expiring_secrets": TaskKind({"within": _plain(parse_seconds), "confirm": _plain(parse_flag)}, reads_tenant=True),
    "clean_guests": TaskKind({"confirm": _plain(parse_flag)}, reads_tenant=True),
    "remind_pending": TaskKind({"after": _plain(parse_seconds), "confirm": _plain(parse_flag)}, reads_tenant=True),
    "remind_sponsors": TaskKind({"confirm": _plain(parse_flag)}, reads_tenant=True),
    "retry_failed": TaskKind(
        {"within": _plain(parse_seconds), "times": _plain(parse_count), "in_doubt": _plain(parse_flag)}
    ),
}
"""Every task there is."""


def _check_connection(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError("must name a connection, or several as A,B, tag:TAG or all")


def _parse_every(value: object) -> float:
    seconds = parse_seconds(value)
    if seconds < 1:
        raise ValueError("must be at least a second")
    return seconds


def _check_args(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError("must be a table of the task's arguments")


class Schedule(Section):
    """One schedule, complete: its arguments checked, paths absolute."""

    name: Annotated[str, PlainValidator(parse_name)]
    task: Annotated[str, one_of(*TASKS)]
    connection: Annotated[str | None, PlainValidator(_check_connection)] = None
    cron: Annotated[str | None, optional(parse_cron)] = None
    every: Annotated[float | None, optional(_parse_every)] = None
    """Seconds."""
    spread: Annotated[float | None, optional(_parse_every)] = None
    """Seconds over which the runs of several connections are spread."""
    args: Annotated[dict[str, Any], PlainValidator(_check_args)] = {}  # noqa: RUF012 - pydantic copies it
    enabled: Flag = True

    def next_after(self, after: datetime, zone: tzinfo = UTC) -> datetime:
        """Return when it is due next, in UTC, `after` being its last run."""
        if self.cron is not None:
            return next_after(self.cron, after, zone)
        return after.astimezone(UTC) + timedelta(seconds=self.every or 0)

    @property
    def several(self) -> bool:
        """Whether each of several connections has a run of its own."""
        return self.connection is not None and means_several(self.connection)

    @property
    def table(self) -> dict[str, Any]:
        """The table it was made from, as JSON can hold it, for `reader.parse_schedule`."""
        given = self.model_dump(exclude={"name"}, exclude_defaults=True)
        return {"task": self.task, **given}

    @property
    def when(self) -> str:
        """When, as it is written: the five fields, or "every 6h", and over what it is spread."""
        spread = f", spread over {_length(self.spread)}" if self.spread else ""
        return (self.cron or f"every {_length(self.every or 0)}") + spread


def table_faults(
    table: Mapping[str, Any], connections: Iterable[str], base: Path
) -> tuple[dict[str, Any], list[Fault]]:
    """Check what the fields of a schedule mean together. Returns its arguments as they will be
    used, and the faults. Pure.
    """
    name = table.get("task")
    kind = TASKS.get(name) if isinstance(name, str) else None
    faults = _time_faults(table)
    connection = table.get("connection")
    if isinstance(connection, str):
        if fault := choice_fault(connection, {*connections, SANDBOX}):
            faults.append((("connection",), fault))
    elif kind is not None and kind.needs_connection and connection is None:
        faults.append((("connection",), "is missing"))
    if fault := _spread_fault(table):
        faults.append((("spread",), fault))
    args = table.get("args", {})
    if kind is None or not isinstance(args, Mapping):
        return {}, faults
    checked: dict[str, Any] = {}
    for key, value in args.items():
        check = kind.args.get(key)
        if check is None:
            faults.append((("args", key), f"is not an argument of {name}{did_you_mean(key, kind.args)}"))
            continue
        try:
            checked[key] = check(value, base)
        except ValueError as error:
            faults.append((("args", key), str(error)))
    given = [key for key in kind.one_of if key in args]
    if len(given) > 1:
        faults.append((("args",), f"must have {' or '.join(kind.one_of)}, not both"))
    if kind.one_of and not given:
        faults.append((("args", kind.one_of[0]), "is missing"))
    return checked, faults


def _time_faults(table: Mapping[str, Any]) -> list[Fault]:
    if "cron" in table and "every" in table:
        return [((), "must have cron or every, not both")]
    return [] if "cron" in table or "every" in table else [((), "must have cron or every")]


def _spread_fault(table: Mapping[str, Any]) -> str:
    """Return why a schedule cannot be spread, '' if it can or something else is wrong with it. A
    connection's turn comes before that of the next round, whatever the connection.
    """
    connection = table.get("connection")
    try:
        spread_s = _parse_every(table["spread"])
        gap_s = _parse_every(table["every"]) if "every" in table else shortest_gap_s(parse_cron(table["cron"]))
    except (LookupError, ValueError):
        return ""
    if not (isinstance(connection, str) and means_several(connection)):
        return "is for a schedule of several connections (A,B, tag:TAG or all)"
    if spread_s >= gap_s:
        return f"must be shorter than the time between two runs, which may be {_length(gap_s)}"
    return ""


def parse_timezone(value: object) -> str:
    """Return the name of a time zone, such as Europe/Berlin."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    try:
        find_zone(value.strip())
    except (ValueError, OSError, LookupError):
        raise ValueError("must be the name of a time zone, such as Europe/Berlin or UTC") from None
    return value.strip()


def _length(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
