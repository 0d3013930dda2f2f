"""`usher guests undo`: what a job, or each of a submission, did to guests is undone, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.guests.tenants import most_option
from cli.ui.options import follow_options
from cli.ui.session import Session

if TYPE_CHECKING:
    from cli.follow.run import Run
    from tasks.jobs.submissions import Submission
    from worker.services import Services


@click.command()
@click.argument("job", metavar="JOB|SUBMISSION")
@click.option("--dry-run", is_flag=True, help="Show what would be undone; do nothing.")
@most_option
@follow_options
@click.pass_obj
def undo(session: Session, /, job: str, **given: Any) -> int:
    """Enable again whom a job disabled, and restore whom it deleted; by a submission's id, of all
    its jobs. Without --yes nothing is done: what would be is shown row by row.

    Rows that cannot be undone fail, each with the reason: whoever was deleted for good, was
    invited, or mailed.
    """
    from cli.follow.run import work_on_jobs

    given["dry_run"] = given["dry_run"] or not given["yes"]
    leaves = given["detach"] and not given["dry_run"]
    return work_on_jobs(session, lambda run, services: _undo(run, services, job, given), leaves=leaves)


async def _undo(run: Run, services: Services, wanted: str, given: dict[str, Any]) -> int:
    from cli.guests.flow import open_tenant, run_rows
    from tasks.guests.undoing import copy_done, read_undone, refuse_undo
    from tasks.jobs.finding import find_job
    from tasks.jobs.submissions import match_submission
    from tasks.jobs.tenant import refuse_other_tenant
    from tasks.rows.copied import open_copy

    if (submission := await match_submission(services, wanted)) is not None:
        return await _undo_all(run, services, submission, given)
    view = await find_job(services, wanted)
    refuse_undo(view)
    connection = await open_tenant(run, services, view.connection)  # the sandbox runs from here on
    await refuse_other_tenant(services, view)
    with open_copy() as file:
        await copy_done(services, view, file)
        return await run_rows(
            run,
            services,
            connection,
            read_undone(file),
            operation="undo",
            name=f"undo of {view.id}",
            info={"undo_of": view.id},
            dry=given["dry_run"],
            **{key: given[key] for key in ("yes", "detach", "wait_s", "most")},
        )


async def _undo_all(run: Run, services: Services, submission: Submission, given: dict[str, Any]) -> int:
    """Undo what the jobs of a submission did; one that has not ended is named, and left alone."""
    from cli.guests.rows_together import RowsTogether
    from cli.guests.together import Wanted
    from tasks.errors import Refusal
    from tasks.forecast.several import say_once
    from tasks.guests.undoing import copy_done, read_undone, refuse_undo
    from tasks.jobs.tenant import refuse_other_tenant
    from tasks.rows.copied import open_copy
    from tasks.submission.splitting import Split

    undone, left = [], []
    for view in submission.views:
        try:
            refuse_undo(view)
            await refuse_other_tenant(services, view)
            undone.append(view)
        except Refusal as refusal:
            left.append((view, str(refusal)))
    if not undone:
        raise Refusal(" ".join(say_once((view.connection, why) for view, why in left)))
    going_on = say_once((view.connection, why) for view, why in left if not view.ended)
    for sentence in going_on:
        run.terminal.warn(sentence)
    with Split([*dict.fromkeys(view.connection for view in undone)]) as split:
        for view in undone:
            with open_copy() as file:
                await copy_done(services, view, file)
                for row in read_undone(file):
                    split.put(row, view.connection)
        if not split.asked:
            raise Refusal(f"The jobs of {submission.id} changed nobody, so there is nothing to undo.")
        wanted = Wanted("undo", given["dry_run"], **{key: given[key] for key in ("yes", "detach", "wait_s")})
        info_of = {view.connection: {"undo_of": view.id} for view in undone}
        name = f"undo of {submission.id}"
        status = await RowsTogether(services, split, name, wanted, given["most"], info_of).do(run)
    return max(status, 1) if going_on else status
