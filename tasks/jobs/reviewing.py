"""Whoever is to approve a job looks at the rows that wait, and at what would become of them.

Looking changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from tasks.forecast.rows import ForeseenRow, Foresight
from tasks.forecast.tally import Tally, list_gaps
from tasks.rows.domain_slips import describe_domains
from tasks.telling.words import number
from worker.directory.rules import fetch_rules
from worker.ledger.model import RowState
from worker.operations.operation import Channel
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import Gap

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services

MOST_LOOKED_AT: Final = 10_000
"""Rows asked about: half a minute's look-ups, enough to show what kind of list it is."""


async def waiting_rows(services: Services, view: JobView) -> AsyncIterator[dict[str, Any]]:
    """Yield the rows that an approval would let go."""
    async for contents in services.jobs.rows.chunks(view.id):
        for row, letter in zip(contents.rows, contents.letters, strict=True):
            if letter in (RowState.PENDING, RowState.PENDING_SILENT):
                yield row


async def look_at_waiting(
    services: Services,
    view: JobView,
    heard: Callable[[ForeseenRow], None] = lambda row: None,
    *,
    most: int = MOST_LOOKED_AT,
) -> Tally:
    """Look at the tenant and the first rows, `most` of them, as a dry run does. Raises
    `ConfigError` for a connection unknown here, `UsherError`.
    """
    channel = Channel(services.connection(view.connection), find_operation(view.operation))
    rules = await fetch_rules(services, channel)
    foresight = Foresight(services, channel, rules, view.options, channel.operation.reads)
    tally = Tally(operation=view.operation)
    looked_at = 0
    async for row in foresight.rows(view.id):
        if not row.waits:
            continue
        if looked_at == most:
            more = number(view.counts.pending - looked_at)
            tally.gaps.append(
                Gap(f"What would become of {more} rows more", why=f"only the first {number(looked_at)} were")
            )
            break
        tally.count(row)
        looked_at += 1
        heard(row)
    tally.notes = describe_domains(tally.domains, rules.domains or ())
    tally.gaps += list_gaps(rules, foresight)
    return tally
