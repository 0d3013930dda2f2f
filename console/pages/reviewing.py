"""Whoever is to approve sees the first rows that wait, their domains, and, where that is asked,
what would become of the rows: of one job, or of those of a submission together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from config.errors import ConfigError
from console.access.viewer import Role
from console.pages import wordings
from tasks.forecast.tally import domain_of
from tasks.jobs.reviewing import MOST_LOOKED_AT, look_at_waiting, waiting_rows
from tasks.rows.domain_slips import describe_domains
from tasks.side_by_side import Unasked, do_all
from worker.errors import UsherError
from worker.operations.foreseen import Would

if TYPE_CHECKING:
    from console.pages.page import Page
    from tasks.forecast.tally import Tally
    from worker.ledger.job_view import JobView

_FIRST: Final = 5
_SHOWN_DOMAINS: Final = 12
_READ: Final = 20_000
"""Rows of a submission that are read for their domains, each time its page is shown."""
MOST_FIELDS: Final = 100_000
"""Fields of an approval: a few for each job of a submission."""
_WOULDS: Final = ("invite", *wordings.OPERATIONS, "skip", "refuse")


@dataclass(frozen=True, slots=True)
class Review:
    """What waits for approval. `first`: rows with their connection; `read`: of how many rows the
    domains are; `lines`: (connection, would, rows, why) of a look; `would`: by job, what is kept
    with its approval; `most`: rows of each job that were looked at, at most.
    """

    waiting: int
    read: int
    first: Sequence[tuple[str, Mapping[str, Any]]] = field(repr=False)
    domains: Sequence[tuple[str, int]] = ()
    lines: Sequence[tuple[str, str, str, str]] = ()
    would: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unasked: Sequence[Unasked] = ()
    most: int = 0

    @property
    def fields(self) -> dict[str, int]:
        """What the form of an approval brings back of a look (`read_would`)."""
        return {f"would-{job}-{name}": rows for job, would in self.would.items() for name, rows in would.items()}


async def review(page: Page, views: Sequence[JobView], *, looks: bool) -> Review:
    """Return what whoever is to approve these jobs sees of them. `looks`: with what would become of
    the rows, for whoever may approve.
    """
    first: list[tuple[str, Mapping[str, Any]]] = []
    domains: Counter[str] = Counter()
    async for connection, row in _read(page, views):
        domains[domain_of(dict(row))] += 1
        if len(first) < _FIRST:
            first.append((connection, row))
    notes = describe_domains(domains)[:_SHOWN_DOMAINS]
    waiting = sum(view.counts.pending for view in views)
    told = [(note.domain, note.rows) for note in notes]
    shown = Review(waiting, domains.total(), first, told)
    return await _look(page, views, shown) if looks and page.viewer.can(Role.APPROVE) else shown


def read_would(form: Mapping[str, Any], job: str) -> dict[str, int]:
    """Return what a look said of a job's rows, as its approval brings it back."""
    would = {name: str(form.get(f"would-{job}-{name}") or "") for name in _WOULDS}
    return {name: int(text) for name, text in would.items() if text.isdecimal() and len(text) < 10}


async def _read(page: Page, views: Sequence[JobView]) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    left = _READ if len(views) > 1 else 0
    for view in views:
        async for row in waiting_rows(page.services, view):
            yield view.connection, row
            left -= 1
            if not left:
                return


async def _look(page: Page, views: Sequence[JobView], shown: Review) -> Review:
    most = max(1, MOST_LOOKED_AT // len(views))

    async def one(view: JobView) -> Tally | Unasked:
        try:
            return await look_at_waiting(page.services, view, most=most)
        except (ConfigError, UsherError) as error:
            return Unasked(view.connection, str(error))

    async with page.parts.readings.turn():
        found = await do_all(views, one)
    looked = [(view, tally) for view, tally in zip(views, found, strict=True) if not isinstance(tally, Unasked)]
    return replace(
        shown,
        lines=[(view.connection, *line) for view, tally in looked for line in tally.lines()],
        would={view.id: {would.told(view.operation): tally.counts[would] for would in Would} for view, tally in looked},
        unasked=[one for one in found if isinstance(one, Unasked)],
        most=most if any(view.counts.pending > most for view in views) else 0,
    )
