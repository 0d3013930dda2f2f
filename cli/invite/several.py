"""A list goes through several connections as one submission: one plan with a line a connection,
asked once; then all are started and followed together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.follow.follow_and_report import follow_started
from cli.follow.run import Run, dropping_unless_started
from cli.invite.bad_rows import report_bad
from cli.invite.dry_run import keeping, tell_written, write_kept
from cli.invite.request import Request
from cli.invite.sending import counted
from cli.ui.confirming import is_confirmed
from cli.ui.tally import show
from cli.ui.terminal import Terminal, build_facts, build_table
from tasks.errors import Refusal
from tasks.forecast.several import HEADINGS, RIGHT, Plans, describe_dry_runs, say_once
from tasks.forecast.tally import Tally, add_up
from tasks.rows.fields import CONNECTION
from tasks.submission.several import Several
from tasks.submission.splitting import Split
from worker.channels import NOBODYS

if TYPE_CHECKING:
    from tasks.forecast.rows import ForeseenRow
    from worker.services import Services


async def send_to_several(run: Run, services: Services, request: Request, connections: Sequence[str]) -> int:
    """Do the whole of it; returns the exit status. Raises what ends it before rows are accepted."""
    with Split(connections) as split:
        split.add_all(counted(request, run.terminal))
        return await send_split(run, services, request, split)


async def send_split(run: Run, services: Services, request: Request, split: Split) -> int:
    """Do it with rows that are split already."""
    terminal, place = run.terminal, run.place
    terminal.status("Preparing a job for each connection")
    several = Several(services, request, split)

    async def follow(job: str) -> None:
        await services.jobs.follow(job, os.getpid())

    await several.prepare(follow, dry=request.dry_run)
    terminal.status("")
    for name, met in several.withheld.items():
        terminal.warn(f"{name}: {met}")
    run.session.told = several.describe_withheld()
    if not several.parts:
        return _end_withheld(terminal, request, several)
    async with dropping_unless_started(run, several.drop):
        report_bad(terminal, request, several.loaded)
        if request.dry_run:
            return await _dry_run(run, several, request)
        plans = await several.plan(ahead=not terminal.quiet)
        _show_plans(terminal, request, plans)
        if not all(map(place.is_built_in, split.connections)):
            _ask(terminal, request, plans)
        run.session.accepted = several.id
        await several.start()
    status = await follow_started(run, services, several.id, detach=request.detach, wait_s=request.wait_s)
    return 3 if several.withheld else status


def _end_withheld(terminal: Terminal, request: Request, several: Several) -> int:
    """Say that nothing was done, for a ceiling was met everywhere; returns the exit status."""
    would = sum(met.would for met in several.withheld.values())
    none = dict.fromkeys(("done", "already", "skipped", "failed", "in_doubt", "pending"), 0)
    job = {"submission": None, "operation": request.operation, "state": "cancelled", "rows": would}
    terminal.finish({**job, **none, "cancelled": would})
    return 3


def _show_plans(terminal: Terminal, request: Request, plans: Plans) -> None:
    show = terminal.show if request.dry_run else terminal.say
    if lines := request.describe_reading(with_sample=terminal.live):
        show(build_facts(lines))
    show(build_table(HEADINGS, plans.table(), right=RIGHT))
    if plans.approval:
        show(plans.approval)
    for risk in plans.risks:
        terminal.warn(risk)


def _ask(terminal: Terminal, request: Request, plans: Plans) -> None:
    """Ask once, where somebody is there. Raises `Refusal` for anything but a yes."""
    if request.yes or not terminal.interactive:
        return
    if not is_confirmed(terminal, plans):
        raise Refusal("Not confirmed; nothing was sent.")


async def _dry_run(run: Run, several: Several, request: Request) -> int:
    """Say what would happen through each connection, and remove the jobs again."""
    terminal = run.terminal
    terminal.status("Asking the tenants")
    looked, nobodys = 0, Tally(operation=request.operation)
    with keeping(request) as kept:

        def hear(connection: str, row: ForeseenRow) -> None:
            nonlocal looked
            looked += 1
            terminal.count(f"Looking at row {looked:,}")
            if connection == NOBODYS:
                nobodys.count(row)
            if kept is not None:
                kept.add(row, connection)

        found = await several.foresee(hear)
        if not found:
            raise Refusal(f"No tenant could be asked. {' '.join(say_once(several.unasked))}")
        if kept is not None:
            for name, why in several.unasked:
                kept.add_unasked(several.split.rows_of(name), name, why)
            stages = dict.fromkeys(stage.name for part in several.parts for stage in part.stages)
            await write_kept(terminal, request, kept, [*stages])
    await several.drop()
    terminal.status("")
    unasked = [(name, f"nobody could look: {why}") for name, why in several.unasked]
    plans = Plans([plan for plan, _ in found], unasked, nobodys.counts.total(), [name for name, _ in unasked])
    _show_plans(terminal, request, plans)
    tally = add_up([*(forecast for _, forecast in found), nobodys], request.operation)
    gaps = say_once((plan.connection, str(gap)) for plan, forecast in found for gap in forecast.gaps)
    show(terminal, tally, gaps)
    tell_written(terminal, request)
    terminal.say("Nothing was sent (--dry-run).")
    if terminal.quiet:
        told = describe_dry_runs(found, plans.nobodys)
        terminal.finish({**told, "unasked": [{CONNECTION: name, "why": why} for name, why in several.unasked]})
    wrong = plans.nobodys or any(plan.bad or plan.blocked or plan.refused for plan, _ in found)
    if several.withheld:
        return 3
    return 1 if wrong or several.unasked else 0
