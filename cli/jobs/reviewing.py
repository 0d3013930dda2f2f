"""Whoever is to approve a job sees its first rows, its domains, and what a dry run says would
become of the rows.

Addresses are shown in full: whoever approves decides about these people, and may read them with
`usher jobs results` anyway. They go to the terminal alone. Looking changes nothing; where the
tenant cannot be asked from here, that is said and the rest is shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from cli.ui.tally import show, show_domains
from cli.ui.terminal import build_facts, build_table
from config.errors import ConfigError
from tasks.asked_stages import AskedStages, find_asked, find_stages
from tasks.forecast.stage_words import stage_lines
from tasks.forecast.tally import Tally, domain_of
from tasks.forecast.targets import read_stages
from tasks.jobs.reviewing import look_at_waiting, waiting_rows
from tasks.rows.domain_slips import describe_domains
from tasks.telling.words import many, number
from worker.errors import UsherError
from worker.operations.foreseen import Would
from worker.operations.operation import Operation
from worker.operations.registry import find_operation
from worker.operations.row_fields import WHY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from tasks.forecast.rows import ForeseenRow
    from worker.ledger.job_view import JobView
    from worker.services import Services

_FIRST: Final = 5


async def show_whom(terminal: Terminal, services: Services, view: JobView) -> None:
    """Show the first rows that wait, and the domains of all of them, as the ledger has them."""
    domains = await _show_first(terminal, services, view)
    show_domains(terminal, describe_domains(domains))


async def show_review(terminal: Terminal, place: Place, services: Services, view: JobView) -> dict[str, int]:
    """Show the first rows, and by what a dry run says, what would become of them; the domains alone
    where it cannot be made.

    Returns the rows by what would become of them, nothing where that could not be looked at.
    """
    domains = await _show_first(terminal, services, view)
    try:
        async with place.services(sealed=True) as sealed:
            tally = await _look(terminal, sealed, view)
    except (ConfigError, UsherError) as error:
        terminal.status("")
        show_domains(terminal, describe_domains(domains))
        terminal.show("", f"What would become of the rows could not be looked at from here: {error}")
        return {}
    show(terminal, tally)
    return {would.told(view.operation): tally.counts[would] for would in Would}


async def _show_first(terminal: Terminal, services: Services, view: JobView) -> Counter[str]:
    """Show the first rows that wait, and what all of them ask for beside the invitation; returns
    the domains of all.
    """
    first: list[tuple[str, str]] = []
    domains: Counter[str] = Counter()
    asked, stages = AskedStages(), _find_stages(services, view)
    async for row in waiting_rows(services, view):
        domains[domain_of(row)] += 1
        asked.add(find_asked(stages, row, view.options))
        if len(first) < _FIRST:
            first.append((str(row.get("email", "")), str(row.get(WHY) or row.get("display_name", ""))))
    terminal.show("", build_table((f"First of {many(domains.total(), 'row')}", ""), first))
    if asked.rows:
        terminal.show("", build_facts(stage_lines(read_stages(asked))))
    return domains


def _find_stages(services: Services, view: JobView) -> Sequence[Operation]:
    """Return what may follow the job's rows; nothing where its connection is not known here."""
    try:
        return find_stages(services.connection(view.connection), find_operation(view.operation))
    except ConfigError:
        return ()


async def _look(terminal: Terminal, services: Services, view: JobView) -> Tally:
    """Look at the rows, and show how far that is. Raises `ConfigError` and `UsherError`."""

    def hear(row: ForeseenRow) -> None:
        terminal.count(f"Looking at row {number(row.number)} of {number(view.counts.rows)}")

    terminal.status("Asking the tenant")
    tally = await look_at_waiting(services, view, hear)
    terminal.status("")
    return tally
