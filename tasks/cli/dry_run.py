"""`--dry-run`: look at everything that may be looked at, say what would happen, write the list or the plan. Nothing is sent."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.version import read_version
from tasks.cli.terminal import build_table, clean
from tasks.cli.words import many, number
from tasks.domains import DomainNote, describe_domains
from tasks.dry_run import ForeseenRow, Foresight
from tasks.foreseen_list import ForeseenRows, write_foreseen
from tasks.output_files import check_writable, save_whole
from tasks.plan_file import FORMAT, Verdicts, describe_connection, seal_plan
from worker.actor import find_person
from worker.addresses import fold_address
from worker.foresight import Would
from worker.invitation import wants_mail
from worker.tenant_rules import Gap, TenantRules, fetch_rules

if TYPE_CHECKING:
    from config import Connection
    from tasks.cli.request import Request
    from tasks.cli.run import Run
    from tasks.cli.terminal import Terminal
    from tasks.submit import Loaded
    from worker.services import Services

_SHOWN_DOMAINS = 10
_SHOWN_SLIPS = 20
_STATUS_EVERY_S = 0.2
NEVER_KNOWN = "Nobody can tell beforehand: addresses of groups and contacts, partners whose own tenant refuses, Microsoft's abuse detection."
"""What no permission would let usher see."""


@dataclass(slots=True)
class Forecast:
    """What a dry run found, in numbers and sentences. `loaded`: the list, reduced to what would be invited."""

    loaded: Loaded
    known: int = 0
    refused: int = 0
    mails: int = 0
    members: int = 0
    counts: Counter[Would] = field(default_factory=Counter)
    whys: Counter[tuple[Would, str]] = field(default_factory=Counter)
    samples: dict[tuple[Would, str], str] = field(default_factory=dict)
    domains: Counter[str] = field(default_factory=Counter)
    notes: list[DomainNote] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    verdicts: Verdicts = field(default_factory=Verdicts)
    longest_run: int = 0
    _run: int = 0
    _refused_domains: set[str] = field(default_factory=set)

    def add(self, one: ForeseenRow, ended_before: bool, mail: bool) -> None:
        """Count one row. `ended_before`: by usher's own rules, which the plan tells of already."""
        foreseen = one.foreseen
        domain = fold_address(str(one.row.get("email", ""))).rpartition("@")[2]
        self.counts[foreseen.would] += 1
        self.verdicts.add(foreseen, domain)
        if foreseen.code != "invalid_row":
            self.domains[domain] += 1
        if foreseen.why:
            key = (foreseen.would, foreseen.code)
            self.whys[key] += 1
            self.samples.setdefault(key, foreseen.why)
        if not ended_before:
            self.known += foreseen.would is Would.SKIP
            self.refused += foreseen.would is Would.REFUSE
            self.mails += mail and foreseen.would is Would.INVITE
            self.members += one.row.get("user_type") == "Member" and foreseen.would is Would.INVITE
            self._count_run(one, domain)

    def _count_run(self, one: ForeseenRow, domain: str) -> None:
        """Count refusals in a row as the real run does (`refusals_in_a_row`)."""
        if one.foreseen.would is Would.INVITE:
            self._run = 0
        elif one.foreseen.would is Would.REFUSE and one.foreseen.by_graph:
            if one.foreseen.code in ("blocked_domain", "cross_tenant"):
                if domain in self._refused_domains:
                    return
                self._refused_domains.add(domain)
            self._run += 1
            self.longest_run = max(self.longest_run, self._run)

    def lines(self) -> list[tuple[str, str, str]]:
        """Return (would, rows, why) lines, the plain invitations first."""
        plain = self.counts[Would.INVITE] - sum(n for (would, _), n in self.whys.items() if would is Would.INVITE)
        lines = [(Would.INVITE.value, number(plain), "")] if plain else []
        order = list(Would)
        for (would, code), rows in sorted(self.whys.items(), key=lambda pair: (order.index(pair[0][0]), -pair[1])):
            why = self.samples[would, code]
            lines.append((would.value, number(rows), why if rows == 1 or code not in _VARIED else _VARIED[code]))
        return lines


_VARIED = {
    "invalid_row": "Cannot be sent (reported above).",
    "duplicate": "The same address as an earlier row.",
    "blocked_domain": "The domain is not allowed, by the connection's settings or the tenant's.",
    "cross_tenant": "Cross-tenant access settings keep these domains out.",
    "already_exists": "Guests of this tenant already; --resend mails again whoever of them has not accepted.",
    "invited_before": "A job invited them lately; --resend mails again whoever of them has not accepted.",
    "deleted_lately": "Were deleted lately and can still be restored: an invitation makes a new guest.",
}
"""Reasons that differ from row to row, told once."""


async def look(run: Run, services: Services, request: Request, connection: Connection, loaded: Loaded) -> Forecast:
    """Look at the tenant and at every row, and write the list where one is wanted. Raises `TokenRefused`, `OutputError`."""
    terminal = run.terminal
    terminal.status("Asking the tenant")
    rules = await fetch_rules(services, connection)
    foresight = Foresight(services, connection, rules, request.options)
    forecast = Forecast(loaded)
    shown_s = time.monotonic()
    with ExitStack() as closing:
        kept = None
        if request.output and not request.output.endswith(".json"):
            check_writable(request.output)
            kept = ForeseenRows(closing.enter_context(tempfile.TemporaryFile()))
        async for row in foresight.rows(loaded.job):
            ended_before = row.foreseen.code in ("invalid_row", "duplicate") or (
                row.foreseen.code == "blocked_domain" and not row.foreseen.by_graph
            )
            mail = not ended_before and wants_mail(row.row, connection, request.options)
            forecast.add(row, ended_before, mail)
            if kept is not None:
                kept.add(row)
            if (now_s := time.monotonic()) - shown_s >= _STATUS_EVERY_S:
                shown_s = now_s
                terminal.status(f"Looking at row {number(row.number)} of {number(loaded.rows)}")
        if kept is not None:
            terminal.status(f"Writing {request.output}")
            own = (Path(request.output), kept, request.fields_seen, request.guests, request.reopen)
            await asyncio.to_thread(write_foreseen, *own)
    terminal.status("")
    forecast.loaded = replace(
        loaded, to_send=forecast.counts[Would.INVITE], mails=forecast.mails, members=forecast.members
    )
    forecast.notes = describe_domains(forecast.domains, rules.domains or ())
    forecast.gaps = [*rules.gaps, *foresight.gaps, *_unlooked(foresight)]
    forecast.risks = _risks(forecast, rules, connection)
    return forecast


def _unlooked(foresight: Foresight) -> list[Gap]:
    if foresight.may_not_read:
        return [Gap("Who is in the tenant already", "User.Read.All")]
    if foresight.not_looked_up:
        rows = many(foresight.not_looked_up, "row")
        return [Gap(f"Whether the guests of {rows} are in the tenant already", why="Graph did not answer for them")]
    return []


def _risks(forecast: Forecast, rules: TenantRules, connection: Connection) -> list[str]:
    risks = []
    if rules.closed:
        risks.append(
            "The real run would be held at its first invitation: nobody would be invited until that is changed."
        )
    elif rules.invites_from == "adminsAndGuestInviters":
        risks.append(
            "This tenant lets only admins and guest inviters invite (allowInvitesFrom): Microsoft's page says that an app is refused then, "
            "reports say that User.Invite.All lets it through."
        )
    if not rules.closed and 0 < connection.refusals_in_a_row <= forecast.longest_run:
        risks.append(
            f"Microsoft would refuse {number(forecast.longest_run)} rows in a row, and {number(connection.refusals_in_a_row)} hold a job for a "
            "person (refusals_in_a_row): take them out of the list first, or run the plan (--dry-run -o plan.json)."
        )
    return risks


def show(terminal: Terminal, forecast: Forecast) -> None:
    """Show what would become of the rows, their domains, and what could not be looked at."""
    from rich.text import Text

    tables = [build_table(("Would", "Rows", "Why"), forecast.lines(), right=("Rows",))]
    shown = [note for i, note in enumerate(forecast.notes) if i < _SHOWN_DOMAINS or note.looks_like][
        : _SHOWN_DOMAINS + _SHOWN_SLIPS
    ]
    if shown:
        tables.append(build_table(("Domain", "Rows", ""), [_domain_line(note) for note in shown], right=("Rows",)))
    terminal.show(*(part for table in tables for part in ("", table)))
    if len(forecast.notes) > len(shown):
        terminal.show(f"{number(len(forecast.notes) - len(shown))} more domains")
    private = sum(note.rows for note in forecast.notes if note.private)
    if private:
        terminal.show(
            "", f"{many(private, 'row')} at private mail providers: people there leave no trace of whom they work for."
        )
    not_checked = [*(str(gap) for gap in forecast.gaps), NEVER_KNOWN]
    terminal.show("", Text("Not checked", style="dim"), *(f"  {clean(sentence)}" for sentence in not_checked))


def _domain_line(note: DomainNote) -> tuple[str, str, str]:
    what = f"did they mean {note.looks_like}?" if note.looks_like else "private mail provider" if note.private else ""
    return note.domain, number(note.rows), what


def describe(forecast: Forecast) -> dict[str, Any]:
    """Return what --json tells of it, inside `plan`."""
    return {
        "would": {would.value: forecast.counts[would] for would in Would},
        "domains": {note.domain: note.rows for note in forecast.notes[:_SHOWN_DOMAINS]},
        "lookalikes": {note.domain: note.looks_like for note in forecast.notes if note.looks_like},
        "private": sum(note.rows for note in forecast.notes if note.private),
        "not_checked": [str(gap) for gap in forecast.gaps],
    }


def write_plan(
    services: Services, request: Request, connection: Connection, forecast: Forecast, *, built_in: bool
) -> None:
    """Write the plan file. Raises `OutputError`."""
    told = {
        "usher_plan": FORMAT,
        "usher": read_version(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": str(find_person()),
        "list": {"name": request.name, "path": request.path, "sha256": request.sha256, "rows": forecast.loaded.rows},
        "connection": describe_connection(connection, built_in=built_in),
        "options": request.given,
        "read": request.guests.options.to_dict() if request.guests else {},
        "would": {would.value: forecast.counts[would] for would in Would},
        "mails": forecast.mails,
        "not_checked": [str(gap) for gap in forecast.gaps],
        "whys": forecast.verdicts.whys,
        "verdicts": forecast.verdicts.text(),
    }
    sealed = seal_plan(told, services.sealer()).encode("utf-8", "replace")
    save_whole(request.output, lambda stream: stream.write(sealed))
