"""`usher jobs pause`, `cancel` and `delete`: what is done to a job without following it."""

from __future__ import annotations

from cli.jobs.several import delete_submission, move_submission
from cli.jobs.showing import job_details
from cli.ui.confirming import confirm
from cli.ui.terminal import Terminal
from config.errors import quoted
from tasks.errors import Refusal
from tasks.jobs.finding import find_job
from tasks.jobs.moving import cancel_job, pause_job
from tasks.jobs.submissions import match_submission
from tasks.telling.words import many
from worker.ledger.model import JobState
from worker.services import Services


async def move_job(terminal: Terminal, services: Services, wanted: str, verb: str) -> int:
    """Pause or cancel a job, and say what that means for its rows."""
    if submission := await match_submission(services, wanted):
        return await move_submission(terminal, services, submission, verb)
    view = await find_job(services, wanted)
    after = await (pause_job if verb == "pause" else cancel_job)(services, view)
    on_the_wire = f"; {many(after.open, 'row')} on the wire still end as what they are" if after.open else ""
    if after.state is JobState.CANCELLED:
        undone = [f"{many(after.counts.cancelled, 'row')} will not be sent"]
        undone += [
            f"{name} of {many(counts.cancelled, 'guest')} will not be done"
            for name, counts in after.stages.items()
            if counts.cancelled
        ]
        terminal.show(f"Job {view.id} is cancelled: {', '.join(undone)}{on_the_wire}.")
    else:
        state = "held for approval, and paused" if after.pause else after.state.value
        terminal.show(f"Job {view.id} is {state}, {many(after.counts.pending, 'row')} left{on_the_wire}.")
        if after.state is JobState.PAUSED:
            terminal.show(f"To go on: usher jobs resume {view.id}")
        elif after.pause:
            terminal.show(f"To go on once it is approved: usher jobs resume {view.id}")
    if terminal.quiet:
        terminal.print_json(job_details(after))
    return 0


async def delete_job(terminal: Terminal, services: Services, wanted: str, *, yes: bool) -> int:
    """Remove a job for good; a person is asked first."""
    if submission := await match_submission(services, wanted):
        return await delete_submission(terminal, services, submission, yes=yes)
    view = await find_job(services, wanted)
    if not terminal.interactive and view.id != wanted.strip().lower():
        raise Refusal(
            f"{quoted(wanted)} begins the id of job {view.id}, and there is nobody to ask whether that is meant, so"
            " nothing was deleted: give the whole id."
        )
    if terminal.interactive and not yes:
        state = "" if view.ended else f", {view.state.value} with {many(view.counts.pending, 'row')} left"
        question = (
            f"Delete job {view.id} ({many(view.counts.rows, 'row')} on {view.connection}{state}) and its results for"
            " good?"
        )
        confirm(terminal, question, "deleted")
    await services.jobs.delete(view.id)
    terminal.show(f"Job {view.id} is deleted.")
    if terminal.quiet:
        terminal.print_json({"job": view.id, "deleted": True})
    return 0
