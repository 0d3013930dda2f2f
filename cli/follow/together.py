"""A command that followed the jobs of one submission ends with how each of them stands: their sum,
a line a connection, and how to go on with all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cli.follow.follow import Followed
from cli.follow.report import can_be_undone, how_to_go_on, outcome_table
from cli.follow.when_to_stop import End, exit_status
from cli.ui.terminal import Terminal, build_table
from tasks.forecast.several import NOBODYS_NAME
from tasks.jobs.submissions import Submission, add_up
from tasks.telling.words import many, number, span
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from cli.follow.run import Run
    from worker.ledger.job_view import JobView

_TOGETHER = (End.PAUSED, End.PILOT, End.LEFT, End.LOST)
"""Ends that are told once, for all jobs that ended so; others have a reason of their own."""
_NO_END = (End.ENDED, End.CANCELLED)


def report_together(run: Run, submission: str, ends: Sequence[Followed]) -> int:
    """Show how each job stands, and return the exit status of all."""
    terminal = run.terminal
    views = [followed.view for followed in ends if followed.view is not None]
    if not views:
        terminal.problem(f"The jobs of submission {submission} are gone: somebody deleted them, or they expired.")
        return 3
    run.session.last = Submission(submission, tuple(views)).describe()
    total = add_up(submission, views)
    if not terminal.quiet:
        took = f" in {span((total.finished_at - total.began_at).total_seconds())}" if total.finished_at else ""
        told = f"{many(total.counts.rows, 'row')} on {total.connection}, {total.state.value}{took}"
        terminal.show("", told, "", outcome_table(total), "", connection_table(views))
    for sentence, command in _how_to_go_on(submission, ends, runs_on=run.place.runs_on):
        terminal.warn(sentence, command)
    tell_results(terminal, submission, total)
    if any(view.ended and can_be_undone(view) for view in views):
        terminal.say(f"To take it back: usher guests undo {submission}")
    terminal.finish(run.session.last)
    statuses = [_status(followed) for followed in ends]
    return 3 if 3 in statuses else max(statuses)


def _status(followed: Followed) -> int:
    if followed.view is None:
        return 3
    return exit_status(followed.end, *map(followed.view.adds_up, ("failed", "in_doubt", "cancelled")))


def _how_to_go_on(submission: str, ends: Sequence[Followed], *, runs_on: bool) -> list[tuple[str, str]]:
    """Return, of jobs that did not end, why not, and the command that goes on with all of them; it
    stands once, after the last sentence that asks for it. Pure.
    """
    told = []
    for end in _TOGETHER:
        alike = [followed for followed in ends if followed.end is end]
        if views := [followed.view for followed in alike if followed.view is not None]:
            one = Followed(end, None, alike[0].by, alike[0].why)
            told += how_to_go_on(one, add_up(submission, views), runs_on=runs_on)
    for followed in ends:
        if followed.view is not None and followed.end not in (*_TOGETHER, *_NO_END):
            own = how_to_go_on(followed, replace(followed.view, id=submission), runs_on=runs_on)
            told += [(f"{followed.view.connection}: {sentence}", command) for sentence, command in own]
    last = {command: place for place, (_, command) in enumerate(told)}
    return [(sentence, command if last[command] == place else "") for place, (sentence, command) in enumerate(told)]


def connection_table(views: Sequence[JobView]) -> Table:
    """Return a line a connection: its job, how that stands, and its rows."""
    names = ("rows", "done", "already", "skipped", "failed", "in_doubt", "pending")
    operations = {view.operation for view in views}
    done, already = find_operation(operations.pop()).headings if len(operations) == 1 else ("Done", "Already")
    headings = ("Connection", "Job", "State", "Rows", done, already, "Skipped", "Failed", "In doubt", "Left")
    rows = []
    for view in views:
        counts = [number(n) if (n := getattr(view.counts, name)) else "" for name in names]
        rows.append((view.connection or NOBODYS_NAME, view.id, view.state.value, *counts))
    return build_table(headings, rows, right=headings[3:])


def tell_results(terminal: Terminal, submission: str, total: JobView) -> None:
    """Name the command for the one results file."""
    if terminal.quiet:
        return
    if total.adds_up("failed", "in_doubt"):
        options = " ".join(f"--only {name}" for name in ("failed", "in_doubt") if total.adds_up(name))
        terminal.say(f"The rows that need somebody: usher jobs results {submission} {options}")
    terminal.say(f"Everything about each row: usher jobs results {submission} -o results.csv")
