"""A tally counts what would become of rows: of a dry run, and for whoever approves the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.forecast.rows import ForeseenRow, Foresight
from tasks.rows.domain_slips import DomainNote, describe_domains
from tasks.telling.words import many, number
from worker.addresses import fold_address
from worker.channels import INVITE
from worker.operations.foreseen import Would
from worker.operations.registry import OPERATIONS
from worker.operations.tenant_rules import Gap, TenantRules


@dataclass(slots=True, kw_only=True)
class Tally:
    """Rows of one operation by what would become of them, and by domain. `gaps`: not looked at."""

    operation: str = INVITE
    counts: Counter[Would] = field(default_factory=Counter)
    whys: Counter[tuple[Would, str]] = field(default_factory=Counter)
    samples: dict[tuple[Would, str], str] = field(default_factory=dict)
    domains: Counter[str] = field(default_factory=Counter)
    notes: list[DomainNote] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def count(self, one: ForeseenRow) -> str:
        """Count one row; returns its domain."""
        foreseen = one.foreseen
        domain = domain_of(one.row)
        self.counts[foreseen.would] += 1
        if foreseen.code != "invalid_row":
            self.domains[domain] += 1
        if foreseen.why:
            key = (foreseen.would, foreseen.code)
            self.whys[key] += 1
            self.samples.setdefault(key, foreseen.why)
        return domain

    def lines(self) -> list[tuple[str, str, str]]:
        """Return (would, rows, why) lines, the rows first that are simply done."""
        plain = self.counts[Would.DO] - sum(n for (would, _), n in self.whys.items() if would is Would.DO)
        lines = [(Would.DO.told(self.operation), number(plain), "")] if plain else []
        order, summaries = list(Would), {**_VARIED, **OPERATIONS[self.operation].summaries}
        for (would, code), rows in sorted(self.whys.items(), key=lambda pair: (order.index(pair[0][0]), -pair[1])):
            why = self.samples[would, code]
            told = why if rows == 1 else summaries.get(code, why)
            lines.append((would.told(self.operation), number(rows), told))
        return lines


def add_up(tallies: Iterable[Tally], operation: str) -> Tally:
    """Return what was counted of several connections as one; where a reason is told in different
    words, in those of the first.
    """
    total = Tally(operation=operation)
    for tally in tallies:
        total.counts += tally.counts
        total.whys += tally.whys
        total.domains += tally.domains
        total.samples = {**tally.samples, **total.samples}
    total.notes = describe_domains(total.domains)
    return total


_VARIED = {
    "invalid_row": "Cannot be sent (each is told with its line).",
    "duplicate": "The same address as an earlier row.",
    "blocked_domain": "The domain is not allowed, by the connection's settings or the tenant's.",
}
"""Reasons that differ from row to row, told once: those of any operation."""


def domain_of(row: dict[str, object]) -> str:
    """Return the domain of a row's address."""
    return fold_address(str(row.get("email", ""))).rpartition("@")[2]


def list_gaps(rules: TenantRules, foresight: Foresight) -> list[Gap]:
    """Return what could not be looked at, once every row was."""
    return [*rules.gaps, *foresight.gaps, *_unlooked(foresight)]


def _unlooked(foresight: Foresight) -> list[Gap]:
    if foresight.may_not_read:
        return [Gap("Who is in the tenant already", "User.Read.All")]
    if foresight.not_looked_up:
        rows = many(foresight.not_looked_up, "row")
        return [Gap(f"Whether the guests of {rows} are in the tenant already", why="Graph did not answer for them")]
    return []
