"""A whole installation is checked, a sentence each: the server, who works on it, clocks, every
connection.

Each sentence that finds something wrong says what to do. Nothing is invited, and nothing is changed
but a hold whose cause is gone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from config.errors import ConfigError
from config.version import read_version
from tasks.checks.connection import check_connection
from tasks.checks.forgetful_schedules import find_forgetful
from tasks.gone import find_gone
from worker.directory.questions import ask_time
from worker.errors import LedgerError, SealError, UsherError
from worker.ledger.programs.running_programs import Program, seen
from worker.ledger.programs.token_need import NOBODY, TokenNeed
from worker.ledger.timetable import Timetable
from worker.store.client import REFUSE_AT, STOP_AT, Server, check_server, read_time_ms

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.services import Services

CLOCK_OFF_S = 5.0
"""A clock further off makes certificates and signed requests fail now and then."""
_CLOCK_WRONG_S = 60.0
_MOST_COMPLAINTS = 50


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the doctor. `about`: redis, ledger key, producers, workers, beats, schedules,
    clock or a connection's name.
    """

    about: str
    ok: bool
    what: str
    optional: bool = False  # as of a finding
    warns: bool = False


async def examine(services: Services, *, private: bool) -> AsyncIterator[Fact]:
    """Yield what is found, one by one. `private`: workers of this server go with commands."""
    try:
        server, _ = await check_server(services.client, prefix=services.keys.prefix)
    except LedgerError as error:
        yield Fact("redis", False, str(error))
        return  # the rest is kept there
    for fact in server_facts(server):
        yield fact
    settings = services.settings()
    yield await _ledger_key(services)
    yield await _token_need(services)
    programs = await seen(services.jobs)
    timetable, now = Timetable(services.client, services.keys), datetime.now(UTC)
    beat = await timetable.has_beat()
    for fact in program_facts(programs, settings, private=private, has_beat=beat):
        yield fact
    forgetful = await find_forgetful(services, (await timetable.planned(settings, now)).values(), now)
    for sentence in forgetful.values():
        yield Fact("schedules", False, sentence)
    yield await _redis_clock(services)
    for fact in _complaints(settings):
        yield fact
    for gone in await find_gone(services):
        yield Fact("connections", not gone.waits, gone.describe(), optional=not gone.waits)
    asked = set[str]()
    for name in sorted(settings.connections):
        connection = settings.connection(name)
        for finding in await check_connection(services, name):
            yield Fact(name, finding.ok, finding.what, finding.optional, finding.warns)
        if connection.realm not in asked:
            clock = await _graph_clock(services, name)
            if clock is not None:
                asked.add(connection.realm)
                yield clock
    if not settings.connections:
        yield Fact(
            "connections",
            True,
            "No connection is configured; the built-in sandbox is there to rehearse: usher connections add NAME.",
            optional=True,
        )


def _complaints(settings: Settings) -> list[Fact]:
    said = settings.complaints[:_MOST_COMPLAINTS]
    if (more := len(settings.complaints) - _MOST_COMPLAINTS) > 0:
        said.append(f"And {more:,} more faults of single connections.")
    return [Fact("configuration", False, sentence) for sentence in said]


def server_facts(server: Server) -> list[Fact]:
    """Say what is to be said of the server. Pure."""
    kind = f"{server.kind.capitalize()} {server.version}"
    facts = [Fact("redis", True, f"{kind}, and it throws nothing away (maxmemory-policy noeviction).")]
    if server.persistent:
        facts.append(Fact("redis", True, "It keeps an append-only file, so a restart loses nothing."))
    else:
        facts.append(
            Fact("redis", False, "It keeps no append-only file, so a restart of it loses jobs: set appendonly yes.")
        )
    mb = 1 << 20
    if not server.most:
        facts.append(
            Fact(
                "redis",
                True,
                f"{server.used / mb:,.0f} MB are in use; no maxmemory is set, so watch the machine's memory.",
            )
        )
        return facts
    share = server.used / server.most
    used = f"{share:.0%} of its {server.most / mb:,.0f} MB are in use"
    if share >= STOP_AT:
        facts.append(
            Fact("redis", False, f"{used}: nothing is sent until it has room. Raise maxmemory, or delete old jobs.")
        )
    elif share >= REFUSE_AT:
        facts.append(Fact("redis", False, f"{used}: no new job is taken in. Raise maxmemory, or delete old jobs."))
    elif share >= 0.8:
        facts.append(
            Fact(
                "redis",
                False,
                f"{used}: at {REFUSE_AT:.0%} no new job is taken in. Raise maxmemory, or delete old jobs.",
            )
        )
    else:
        facts.append(Fact("redis", True, f"{used}."))
    return facts


def program_facts(programs: Sequence[Program], settings: Settings, *, private: bool, has_beat: bool) -> list[Fact]:
    """Say who is there, and who differs from this command in version or configuration. Pure."""
    facts = []
    kinds = Counter(program.kind for program in programs)
    own, digest = read_version(), settings.digest[:12]
    for program in programs:
        differs = []
        if program.version != own:
            differs.append(f"runs usher {program.version}, this is {own}: finish the upgrade")
        if program.problem:
            facts.append(Fact(f"{program.kind}s", False, tell_problem(program)))
        elif program.digest != digest:
            file = program.file or "no file"
            differs.append(
                f"has another configuration ({program.digest}, from {file}) than this command ({digest}): give all the"
                " same file, and restart what took its settings from the environment"
            )
        about, shown = f"{program.kind}s", program.shown
        if differs:
            facts.append(Fact(about, False, f"{shown} {' and '.join(differs)}."))
        elif not program.problem:
            facts.append(Fact(about, True, f"{shown}: usher {own}, configuration {digest}."))
    if not kinds["worker"]:
        said = (
            "No worker is running; on this private stack commands bring their own."
            if private
            else "No worker is running, so nothing is sent: start usher worker."
        )
        facts.append(Fact("workers", private, said, optional=private))
    if not has_beat and settings.schedules:
        facts.append(
            Fact(
                "beats", False, f"No beat is running, so no schedule fires: start usher {'up' if private else 'beat'}."
            )
        )
    elif not has_beat:
        said = "No beat is running, and no schedule is configured that would need one."
        facts.append(Fact("beats", True, said, optional=True))
    return facts


def tell_problem(program: Program) -> str:
    """Say that a running program's configuration is faulty. Pure."""
    return (
        f"{program.shown} goes on with its last good configuration, for it cannot be read as it is now."
        f" {program.problem}"
    )


def clock_fact(whose: str, off_s: float) -> Fact:
    """Say how far this machine's clock is from another one. Pure."""
    ahead = f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} {whose}"
    if abs(off_s) >= _CLOCK_WRONG_S:
        return Fact(
            "clock", False, f"This machine's clock is {ahead}: set it by NTP, or signing in with a certificate fails."
        )
    if abs(off_s) >= CLOCK_OFF_S:
        return Fact("clock", False, f"This machine's clock is {ahead}: set it by NTP.")
    return Fact("clock", True, f"This machine's clock agrees with {whose}.")


async def _ledger_key(services: Services) -> Fact:
    """Say whether the key opens what is sealed with it."""
    try:
        is_there = await services.index.check()
        sealer = services.sealer()
    except SealError as error:
        return Fact("ledger key", False, str(error))
    if sealer is None:
        return Fact("ledger key", True, "There is none: redeem links are not kept, and access tokens are not shared.")
    return Fact(
        "ledger key", True, "It opens what is sealed." if is_there else "It can be read; nothing is sealed yet."
    )


async def _token_need(services: Services) -> Fact:
    """Say whether programs need a token, and whether there is one that opens anything."""
    if producers := services.settings().producers:
        return Fact("producers", True, f"Programs need a token; configured are {', '.join(producers)}.")
    since = await TokenNeed(services.client, services.keys).since()
    if since is None:
        return Fact("producers", True, "No producer is configured, so nobody is asked for a token.", optional=True)
    return Fact("producers", False, f"Nothing is taken from any program: {NOBODY}.")


async def _redis_clock(services: Services) -> Fact:
    there_s = await read_time_ms(services.client) / 1000
    return clock_fact("Redis's", time.time() - there_s)


async def _graph_clock(services: Services, name: str) -> Fact | None:
    """Compare with Graph's `Date`, to a second. None where Graph did not answer; the connection's
    own lines say why.
    """
    connection = services.connection(name)
    try:
        token = await services.tokens.get(connection)
    except (UsherError, ConfigError):
        return None
    there = await ask_time(services, connection, token)
    if there is None:
        return None
    off_s = (datetime.now(UTC) - there).total_seconds()
    return clock_fact(f"Graph's ({connection.graph_host})", off_s - 0.5)  # a Date is cut to its second
