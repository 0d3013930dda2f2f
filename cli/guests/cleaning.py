"""`usher guests clean`: what the connection's policy has due is shown guest by guest, with the
reason; with --yes it becomes a job.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cli.guests.tenants import most_option, tenants_option
from cli.ui.options import follow_options
from cli.ui.session import Session

if TYPE_CHECKING:
    from cli.follow.run import Run
    from cli.ui.lines import Lines
    from config.connections import Connection
    from tasks.guests.clean.plan import CleanPlan
    from tasks.submission.together import Together
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is wanted. `dry`: nothing is to be done."""

    names: Sequence[str]
    most: int | None
    dry: bool
    detach: bool
    wait_s: float | None


@click.command()
@tenants_option
@click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing, with --yes too.")
@most_option
@follow_options
@click.pass_obj
def clean(session: Session, /, connection: str, **given: Any) -> int:
    """Remind, disable and delete guests as the connection's settings say. Without --yes nothing is
    done: what would be is shown guest by guest, with the reason.

    Each guest is looked at again just before. Never a member, never who holds, or may take, a
    directory role, never who is spared; in doubt a guest stays. Where more guests are due than a
    ceiling allows, nothing of that kind is done. Several tenants are cleaned each by its own
    settings.
    """
    from cli.follow.run import work_on_jobs
    from cli.invite.command import choose_connections

    dry = given["dry_run"] or not given["yes"]
    wanted = _Wanted(choose_connections(connection), given["most"], dry, given["detach"], given["wait_s"])
    work = partial(_evaluate_and_do, wanted=wanted)
    return work_on_jobs(session, work, leaves=wanted.detach and not dry)


async def _evaluate_and_do(run: Run, services: Services, wanted: _Wanted) -> int:
    from cli.guests.flow import open_tenant
    from tasks.guests.clean.evaluating import ask_now, evaluate
    from tasks.guests.clean.loading import refuse_unfinished
    from tasks.guests.clean.plan import CleanPlan
    from tasks.submission.ceiling import MOST
    from tasks.submit import new_job_id
    from tasks.telling.words import number

    terminal = run.terminal
    if len(wanted.names) > 1:
        return await _clean_several(run, services, wanted)
    connection = await open_tenant(run, services, wanted.names[0])
    if not wanted.dry:
        await refuse_unfinished(services, connection, await ask_now(services))

    def heard(read: int, total: int | None) -> None:
        of = f" of {number(total)}" if total is not None else ""
        terminal.count(f"{number(read)}{of} guests judged")

    job = new_job_id()
    with CleanPlan() as plan:
        terminal.status("Asking the tenant")
        await evaluate(services, connection, plan, job=job, dry=wanted.dry, heard=heard)
        terminal.status("")
        ceilings = _show(run, wanted, plan)
        if wanted.dry or not plan.will or MOST in ceilings:
            return _end_undone(run, wanted, plan, ceilings)
        return await _do(run, services, connection, wanted, plan, job)


def _show(run: Run, wanted: _Wanted, plan: CleanPlan) -> list[str]:
    """Show what is due, and what stands against it; returns the ceilings that were met."""
    from cli.ui.lines import show_lines
    from tasks.guests.clean.telling import tell_left, tell_line, tell_withheld
    from tasks.safe_text import clean as clean_text
    from tasks.submission.ceiling import MOST

    terminal = run.terminal
    if not terminal.quiet:
        show_lines(terminal, (clean_text(tell_line(place, row)) for place, row in plan.lines()))
    terminal.say(tell_left(plan))
    for sentence in (*plan.notes, *tell_withheld(plan, wanted.names[0])):
        terminal.warn(sentence)
    if beyond := _tell_beyond(plan, wanted.most):
        terminal.warn(beyond)
        return [*plan.withheld, MOST]
    return list(plan.withheld)


def _tell_beyond(plan: CleanPlan, most: int | None) -> str:
    """Return a sentence where there is more to do than `--most` allows, else ''."""
    from tasks.telling.words import many, number

    total = sum(plan.will.values())
    if most is None or total <= most:
        return ""
    return (
        f"{many(total, 'guest')} are more than --most {number(most)} allows, so nothing is done: look at them, then"
        " give a larger number."
    )


def _end_undone(run: Run, wanted: _Wanted, plan: CleanPlan, ceilings: list[str]) -> int:
    """Say that nothing was done; returns the exit status."""
    from tasks.guests.clean.loading import CLEAN
    from tasks.guests.clean.telling import tell_due

    would = sum(plan.would.values())
    yes = " (only with --yes)" if wanted.dry and would else ""
    run.terminal.say(f"{tell_due(plan)}. Nothing was done{yes}.")
    job = {"job": None, "connection": wanted.names[0], "operation": CLEAN, "state": "cancelled"}
    counts = {"rows": would, "done": 0, "already": 0, "skipped": 0, "failed": 0, "in_doubt": 0, "pending": 0}
    run.terminal.finish({**job, **counts, "cancelled": would, "plan": plan.describe(), "ceilings": ceilings})
    return 3 if (ceilings or plan.is_short) and not wanted.dry else 0


async def _clean_several(run: Run, services: Services, wanted: _Wanted) -> int:
    """Clean several tenants up, each by its own settings and ceilings; returns the exit status."""
    from cli.guests.together import Looked, Wanted, do_together
    from tasks.guests.clean.evaluating import ask_now, evaluate
    from tasks.guests.clean.loading import CLEAN, load_parts, refuse_unfinished, split
    from tasks.guests.clean.plan import CleanPlan
    from tasks.guests.clean.telling import tell_line, tell_withheld
    from tasks.safe_text import clean as clean_text
    from tasks.submission.ceiling import MOST
    from tasks.submit import new_job_id
    from worker.ledger.audit.account import find_person
    from worker.ledger.lists.submissions import SUBMISSION

    async def look(name: str, together: Together, lines: Lines) -> Looked:
        connection, job = await services.resolved(name), new_job_id()
        await services.tokens.get(connection, fresh=True)
        if not wanted.dry:
            await refuse_unfinished(services, connection, await ask_now(services))
        with CleanPlan() as plan:
            await evaluate(services, connection, plan, job=job, dry=wanted.dry)
            for place, row in plan.lines():
                lines.put(clean_text(tell_line(place, row)))
            beyond = _tell_beyond(plan, wanted.most)
            if not wanted.dry and not beyond:
                parts = split(connection, plan)
                jobs = [*(new_job_id() for _ in parts[1:]), job][: len(parts)]
                for one in jobs:
                    await services.jobs.follow(one, os.getpid())
                info = {**find_person().to_info(), SUBMISSION: together.id}
                together.add(name, *await load_parts(services, connection, plan, parts, jobs, info))
            would, ceilings = sum(plan.would.values()), [*plan.withheld, *([MOST] if beyond else [])]
            said = [*plan.notes, *tell_withheld(plan, name), *([beyond] if beyond else [])]
            undone = {"rows": would, "cancelled": would}
            return Looked(plan.would, plan.describe(), undone, ceilings, said, is_short=plan.is_short)

    asked = Wanted(CLEAN, wanted.dry, not wanted.dry, wanted.detach, wanted.wait_s, shows=True)
    return await do_together(run, services, wanted.names, asked, look)


async def _do(run: Run, services: Services, connection: Connection, wanted: _Wanted, plan: CleanPlan, job: str) -> int:
    """Let the plan become its jobs and follow them; returns the exit status."""
    from cli.follow.follow_and_report import follow_and_report
    from tasks.guests.clean.loading import load_parts, split
    from tasks.guests.clean.telling import tell_due
    from tasks.submit import drop, new_job_id, start
    from worker.ledger.audit.account import find_person

    session, terminal = run.session, run.terminal
    parts = split(connection, plan)
    jobs = [*(new_job_id() for _ in parts[1:]), job]
    for one in jobs:
        await services.jobs.follow(one, os.getpid())
    loaded = await load_parts(services, connection, plan, parts, jobs, find_person().to_info())
    terminal.say(f"{tell_due(plan)}.")
    try:
        for part in loaded:
            session.accepted = part.job
            await start(services.jobs, part)
            terminal.tell(f"Job {part.job}")
    except BaseException:
        running = [part.job for part in loaded if not await drop(services.jobs, part)]
        session.accepted = running[-1] if running else ""
        raise
    statuses = []
    for part in loaded:
        session.told = {"plan": plan.describe(), "ceilings": list(plan.withheld)}
        session.goes_on = part is not loaded[-1]
        try:
            statuses.append(
                await follow_and_report(run, services, part.job, detach=wanted.detach, wait_s=wanted.wait_s)
            )
        finally:
            session.goes_on = False
    return 3 if plan.withheld or plan.is_short else max(statuses)
