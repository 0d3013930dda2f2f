"""The funnel of a tenant's guests says how many were invited, have accepted, wait: in all, by the
week of their making, by domain, or by the job that invited them. Pure.

Memory goes with the number of weeks, domains or jobs, not with that of guests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from config.values import fold_domain
from worker.graph.guests import Guest
from worker.ledger.guests.last_seen import GuestCounts

COUNTS = ("guests", "accepted", "pending", "unknown", "disabled", "accepted_percent")
ALL = "all"
"""What the one row without a division is called."""


class By(StrEnum):
    """What guests are divided by, by the name of its column."""

    ALL = "guests_of"
    WEEK = "week"
    DOMAIN = "domain"
    JOB = "job"


def columns_of(by: By) -> tuple[str, ...]:
    """Return the columns of a funnel."""
    return COUNTS if by is By.ALL else (by.value, *COUNTS)


@dataclass(slots=True)
class Funnel:
    """Guests on their way, counted. A part of which nobody knows the name has the name ''."""

    by: By
    parts: dict[str, GuestCounts] = field(default_factory=dict)
    total: GuestCounts = field(default_factory=GuestCounts)

    def begin(self) -> None:
        """Let go of what was counted: the listing begins again."""
        self.parts.clear()
        self.total = GuestCounts()

    def add(self, guest: Guest, job: str = "") -> None:
        """Count a guest; `job`: who invited them, as far as usher knows."""
        self.total.add(guest)
        if self.by is not By.ALL:
            self.parts.setdefault(self._name(guest, job), GuestCounts()).add(guest)

    def add_all(self, other: Funnel) -> None:
        """Count the guests of another tenant, too, who are divided by the same."""
        self.total = _sum([self.total, other.total])
        for name, counts in other.parts.items():
            self.parts[name] = _sum([self.parts[name], counts]) if name in self.parts else counts

    def rows(self, most: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the counts by column: weeks from the first on, else the largest first. Beyond
        `most` what is left stands in one row, `others`: before the last weeks, behind the largest.
        """
        if self.by is By.ALL:
            yield describe_counts(self.total)
            return
        ordered = sorted(self.parts.items(), key=lambda part: (-part[1].guests, part[0]))
        if self.by is By.WEEK:
            ordered = sorted(self.parts.items(), reverse=True)
        shown, left = (ordered, []) if most is None else (ordered[:most], ordered[most:])
        if left:
            shown.append(("others", _sum([counts for _, counts in left])))
        for name, counts in reversed(shown) if self.by is By.WEEK else shown:
            yield {self.by.value: name, **describe_counts(counts)}

    def _name(self, guest: Guest, job: str) -> str:
        if self.by is By.JOB:
            return job
        if self.by is By.DOMAIN:
            return fold_domain(guest.email.rpartition("@")[2])
        if guest.created_at is None:
            return ""
        day = guest.created_at.date()
        return (day - timedelta(days=day.weekday())).isoformat()


def describe_counts(counts: GuestCounts) -> dict[str, Any]:
    """Return counts by column."""
    return {name: getattr(counts, name) for name in COUNTS}


def _sum(many: list[GuestCounts]) -> GuestCounts:
    return GuestCounts(**{name: sum(getattr(one, name) for one in many) for name in COUNTS[:-1]})
