"""`usher jobs`: what was submitted, how it stands, and what to do about it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ui.command_group import CommandGroup
from cli.ui.interrupts import Interrupts
from cli.ui.options import Seconds, follow_options, json_option, list_options, take_list_options
from cli.ui.session import Session
from cli.ui.working import work_on_rows

if TYPE_CHECKING:
    from tasks.results.write import Wanted

_OUTCOMES = ("invited", "already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")


@click.group(cls=CommandGroup)
def jobs() -> None:
    """List jobs, follow them, fetch their results, approve, pause, resume, cancel, retry, delete
    them.

    An ID may be shortened as long as it stays unique. Where it is a submission's (s-…), of a list
    that went through several connections, it is for all of its jobs.
    """


@jobs.command("list")
@click.option("-n", "--newest", type=click.IntRange(1, 10_000), default=30, show_default=True, help="How many.")
@json_option("One JSON object instead of a table.")
@click.pass_obj
def list_(session: Session, newest: int) -> int:
    """List the newest jobs; a submission's are one line, in --json each by itself."""
    from cli.jobs.showing import list_jobs

    return work_on_rows(session, lambda terminal, place, services: list_jobs(terminal, place, services, newest))


@jobs.command()
@click.argument("id")
@click.option(
    "--accepted",
    is_flag=True,
    help="Ask the tenant how many of its guests have accepted since; with --json as `accepted`. Needs User.Read.All.",
)
@json_option()
@click.pass_obj
def show(session: Session, id: str, accepted: bool) -> int:  # noqa: A002 - its name on the command line
    """Show how a job stands."""
    from cli.jobs.showing import show_job

    return work_on_rows(
        session,
        lambda terminal, place, services: show_job(terminal, place, services, id, accepted=accepted),
        sealed=accepted,
    )


@jobs.command()
@click.argument("id")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("csv", "jsonl", "xlsx")),
    help="What to write. Else: what the name of -o ends in, what --join names, csv.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file (0600) instead of stdout.")
@click.option(
    "--only", multiple=True, type=click.Choice(_OUTCOMES), help="Only rows that ended so; may be given twice."
)
@click.option(
    "--join",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Give this list back, every line and column, with the outcomes beside it.",
)
@list_options
@json_option("With -o: one JSON object about what was written.")
@click.pass_obj
def results(session: Session, /, id: str, **options: Any) -> int:  # noqa: A002
    """Write how every row ended. The file holds addresses and redeem links; it can be fed back into
    `usher invite`.

    The options that say how a list is read are for --join, where it is to be read otherwise than by
    `usher invite`.
    """
    from cli.jobs.results import write
    from cli.ui.place import open_place
    from cli.ui.terminal import Terminal

    wanted = _wanted_results(options)
    if session.wants_json and wanted.output is None:
        raise click.UsageError(
            "--json is about what was written and needs -o FILE; rows as JSON lines: --format jsonl."
        )
    with Interrupts().caught(), open_place() as place:
        return asyncio.run(write(Terminal(session), place, id, wanted))


def _wanted_results(options: dict[str, Any]) -> Wanted:
    """Return what is to be written; raises `UsageError` for what does not go together."""
    from tasks.results.write import Wanted

    given = take_list_options(options)
    file_format, output = options["file_format"] or "", options["output"]
    if given.to_dict() and options["join"] is None:
        raise click.UsageError("How a list is read can only be said with --join FILE.")
    if file_format == "xlsx" and output is None:
        raise click.UsageError("--format xlsx needs -o FILE.")
    return Wanted(file_format, output, options["only"], options["join"], given)


@jobs.command()
@click.argument("id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option()
@click.pass_obj
def approve(session: Session, id: str, yes: bool) -> int:  # noqa: A002
    """Let somebody else's job run that waits for approval (require_approval of its connection).

    On a terminal it first shows the rows, their domains and what would become of them, and asks.
    """
    from cli.jobs.approving import approve as work

    return work_on_rows(session, lambda terminal, place, services: work(terminal, place, services, id, yes=yes))


@jobs.command()
@click.argument("id")
@json_option()
@click.pass_obj
def pause(session: Session, id: str) -> int:  # noqa: A002
    """Pause a job after the batches in flight."""
    from cli.jobs.moving import move_job

    return work_on_rows(session, lambda terminal, _, services: move_job(terminal, services, id, "pause"))


@jobs.command()
@click.argument("id")
@json_option()
@click.pass_obj
def cancel(session: Session, id: str) -> int:  # noqa: A002
    """End a job: rows not yet sent are cancelled, rows on the wire end as what they are."""
    from cli.jobs.moving import move_job

    return work_on_rows(session, lambda terminal, _, services: move_job(terminal, services, id, "cancel"))


@jobs.command()
@click.argument("id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option()
@click.pass_obj
def delete(session: Session, id: str, yes: bool) -> int:  # noqa: A002
    """Remove a job, or all of a submission, with the results for good. One that still runs is
    cancelled first. Without a terminal the whole id is needed, and --yes for a submission.
    """
    from cli.jobs.moving import delete_job

    return work_on_rows(session, lambda terminal, _, services: delete_job(terminal, services, id, yes=yes))


@jobs.command()
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def verify(session: Session) -> int:
    """Look up every row that is still to be sent: who is a guest already ends as one, who is not
    stays.

    After a restore from backup everything is held until this was done. Nothing is sent. Status 3 if
    some rows could not be looked up.
    """
    from cli.jobs.verifying import verify as verify_all

    return work_on_rows(session, lambda terminal, _, services: verify_all(terminal, services), sealed=True)


@jobs.command()
@click.argument("id")
@click.option("--wait", "wait_s", type=Seconds(), metavar="TIME", help="As for `usher invite`.")
@json_option()
@click.pass_obj
def watch(session: Session, id: str, wait_s: float | None) -> int:  # noqa: A002
    """Follow a job until it ends, as `usher invite` does.

    Ctrl-C ends the watching and nothing else.
    """
    from cli.follow.run import work_on_jobs
    from cli.jobs.rejoining import watch_job

    return work_on_jobs(session, lambda run, services: watch_job(run, services, id, wait_s))


@jobs.command()
@click.argument("id")
@follow_options
@click.pass_obj
def resume(session: Session, /, id: str, **options: Any) -> int:  # noqa: A002
    """Let a paused job run on, and follow it."""
    from cli.follow.run import work_on_jobs
    from cli.jobs.rejoining import resume_job

    return work_on_jobs(session, lambda run, services: resume_job(run, services, id, options), leaves=options["detach"])


@jobs.command()
@click.argument("id")
@follow_options
@click.pass_obj
def retry(session: Session, /, id: str, **options: Any) -> int:  # noqa: A002
    """Try again the rows of a job that failed or stayed in doubt, and of the others the stages that
    failed, as a new job; of a submission, as a new submission.
    """
    from cli.follow.run import work_on_jobs
    from cli.jobs.retrying import retry_job

    return work_on_jobs(session, lambda run, services: retry_job(run, services, id, options), leaves=options["detach"])
