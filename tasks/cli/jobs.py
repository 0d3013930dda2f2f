"""`usher jobs`: what was submitted, how it stands, and what to do about it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.cli.errors import Refusal
from tasks.cli.finding import find_job
from tasks.cli.groups import CommandGroup
from tasks.cli.interrupts import Interrupts
from tasks.cli.options import Seconds, follow_options, json_option, list_options, take_list_options
from tasks.cli.session import Session

if TYPE_CHECKING:
    from tasks.cli.place import Place
    from tasks.cli.sending import Run
    from tasks.cli.terminal import Terminal
    from tasks.returning import Wanted
    from worker.job_view import JobView
    from worker.services import Services

_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
_OUTCOMES = ("invited", "already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")


@click.group(cls=CommandGroup, context_settings=_HELP)
def jobs() -> None:
    """List jobs, follow them, fetch their results, approve, pause, resume, cancel, retry, delete them.

    An ID may be shortened as long as it stays unique.
    """


@jobs.command("list")
@click.option("-n", "--newest", type=click.IntRange(1, 10_000), default=30, show_default=True, help="How many.")
@json_option("One JSON object instead of a table.")
@click.pass_obj
def list_(session: Session, newest: int, wants_json: bool) -> int:
    """List the newest jobs."""
    return _read(session, lambda terminal, place, services: _list(terminal, place, services, newest))


@jobs.command()
@click.argument("id")
@json_option()
@click.pass_obj
def show(session: Session, id: str, wants_json: bool) -> int:  # noqa: A002 - its name on the command line
    """Show how a job stands."""
    return _read(session, lambda terminal, place, services: _show(terminal, place, services, id))


@jobs.command()
@click.argument("id")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("csv", "jsonl", "xlsx")),
    help="What to write. Else: what the name of -o ends in, what --join names, csv.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write to this file (0600) instead of stdout; with --split-by to this folder.",
)
@click.option(
    "--only", multiple=True, type=click.Choice(_OUTCOMES), help="Only rows that ended so; may be given twice."
)
@click.option(
    "--join",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Give this list back, every line and column, with the outcomes beside it.",
)
@click.option(
    "--excel",
    is_flag=True,
    help="A CSV that Excel opens right with a double click: UTF-8 mark, this locale's delimiter.",
)
@click.option("--split-by", type=click.Choice(("domain",)), help="One file for each domain, in the folder of -o.")
@list_options
@json_option("With -o: one JSON object about what was written.")
@click.pass_obj
def results(session: Session, /, id: str, **options: Any) -> int:  # noqa: A002
    """Write how every row ended. The file holds addresses and redeem links; it can be fed back into `usher invite`.

    The options that say how a list is read are for --join, where it is to be read otherwise than by `usher invite`.
    """
    from tasks.cli.place import open_place
    from tasks.cli.results import write
    from tasks.cli.terminal import Terminal

    wanted = _wanted_results(options)
    if session.wants_json and wanted.output is None:
        raise click.UsageError(
            "--json is about what was written and needs -o FILE; rows as JSON lines: --format jsonl."
        )
    with Interrupts().caught(), open_place() as place:
        return asyncio.run(write(Terminal(session), place, id, wanted))


def _wanted_results(options: dict[str, Any]) -> Wanted:
    """Return what is to be written; raises `UsageError` for what does not go together."""
    from tasks.csv_style import excel_style
    from tasks.returning import Wanted

    given = take_list_options(options)
    file_format, output = options["file_format"] or "", options["output"]
    if given.to_dict() and options["join"] is None:
        raise click.UsageError("How a list is read can only be said with --join FILE.")
    if options["split_by"] and output is None:
        raise click.UsageError("--split-by needs -o FOLDER.")
    if file_format == "xlsx" and output is None:
        raise click.UsageError("--format xlsx needs -o FILE.")
    if options["excel"] and file_format not in ("", "csv"):
        raise click.UsageError(f"--excel is about a CSV and does not go with --format {file_format}.")
    excel = excel_style(os.environ) if options["excel"] else None
    split = options["split_by"] is not None
    return Wanted(file_format, output, options["only"], options["join"], given, excel, split)


@jobs.command()
@click.argument("id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option()
@click.pass_obj
def approve(session: Session, id: str, yes: bool, wants_json: bool) -> int:  # noqa: A002
    """Let somebody else's job run that waits for approval (require_approval of its connection)."""
    from tasks.cli.approving import approve as work

    return _read(session, lambda terminal, place, services: work(terminal, place, services, id, yes=yes))


@jobs.command()
@click.argument("id")
@json_option()
@click.pass_obj
def pause(session: Session, id: str, wants_json: bool) -> int:  # noqa: A002
    """Pause a job after the batches in flight."""
    return _read(session, lambda terminal, _, services: _move(terminal, services, id, "pause"))


@jobs.command()
@click.argument("id")
@json_option()
@click.pass_obj
def cancel(session: Session, id: str, wants_json: bool) -> int:  # noqa: A002
    """End a job: rows not yet sent are cancelled, rows on the wire end as what they are."""
    return _read(session, lambda terminal, _, services: _move(terminal, services, id, "cancel"))


@jobs.command()
@click.argument("id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option()
@click.pass_obj
def delete(session: Session, id: str, yes: bool, wants_json: bool) -> int:  # noqa: A002
    """Remove a job and its results for good. One that still runs is cancelled first."""
    return _read(session, lambda terminal, _, services: _delete(terminal, services, id, yes=yes))


@jobs.command()
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def verify(session: Session, wants_json: bool) -> int:
    """Look up every row that is still to be sent: who is a guest already ends as one, who is not stays.

    After a restore from backup everything is held until this was done. Nothing is sent. Status 3 if some rows could not be looked up.
    """
    from tasks.cli.place import open_place
    from tasks.cli.terminal import Terminal
    from tasks.cli.verifying import verify as verify_all

    with Interrupts().caught(), open_place() as place:
        return asyncio.run(verify_all(Terminal(session), place))


@jobs.command()
@click.argument("id")
@click.option("--wait", "wait_s", type=Seconds(), metavar="TIME", help="As for `usher invite`.")
@json_option()
@click.pass_obj
def watch(session: Session, id: str, wait_s: float | None, wants_json: bool) -> int:  # noqa: A002
    """Follow a job until it ends, as `usher invite` does.

    Where it runs by itself, Ctrl-C only ends the watching; on the private stack it pauses the job.
    """
    return _run(session, lambda run, services: _watch(run, services, id, wait_s))


@jobs.command()
@click.argument("id")
@follow_options
@click.pass_obj
def resume(session: Session, /, id: str, **options: Any) -> int:  # noqa: A002
    """Let a paused job run on, and follow it."""
    return _run(session, lambda run, services: _resume(run, services, id, options), detach=options["detach"])


@jobs.command()
@click.argument("id")
@follow_options
@click.pass_obj
def retry(session: Session, /, id: str, **options: Any) -> int:  # noqa: A002
    """Send the rows of a job that failed or stayed in doubt again, as a new job."""
    return _run(session, lambda run, services: _retry(run, services, id, options), detach=options["detach"])


def _read(session: Session, work: Callable[[Terminal, Place, Services], Awaitable[int]]) -> int:
    """Run a command that needs no worker."""
    from tasks.cli.place import open_place
    from tasks.cli.terminal import Terminal

    async def run(place: Place) -> int:
        async with place.services(sealed=False) as services:
            terminal = Terminal(session)
            for warning in place.warnings:
                terminal.warn(warning)
            return await work(terminal, place, services)

    with Interrupts().caught(), open_place() as place:
        return asyncio.run(run(place))


def _run(session: Session, work: Callable[[Run, Services], Awaitable[int]], *, detach: bool = False) -> int:
    """Run a command that follows a job."""
    from tasks.cli.place import open_place, refuse_to_leave_running
    from tasks.cli.sending import Run
    from tasks.cli.terminal import Terminal

    async def go(run: Run) -> int:
        async with run.place.services() as services:
            return await work(run, services)

    interrupts = Interrupts()
    with interrupts.caught():
        if detach:
            refuse_to_leave_running()
        with open_place() as place:
            return asyncio.run(go(Run(session, Terminal(session), interrupts, place)))


async def _list(terminal: Terminal, place: Place, services: Services, newest: int) -> int:
    from tasks.cli.terminal import build_table
    from tasks.cli.words import moment, number

    await _tidy(place, services)
    views = await services.jobs.listed(newest=newest)
    if terminal.quiet:
        terminal.print_json({"jobs": [_details(view) for view in views]})
        return 0
    if not views:
        terminal.show("No jobs yet.")
        return 0
    headings = (
        "Job",
        "Connection",
        "State",
        "Rows",
        "Invited",
        "Guests",
        "Failed",
        "In doubt",
        "Left",
        "Since",
        "List",
    )
    rows = []
    for view in views:
        c = view.counts
        counts = [number(n) if n else "" for n in (c.rows, c.invited, c.already_guest, c.failed, c.in_doubt, c.pending)]
        source = str(view.info.get("list") or view.info.get("by") or "")
        rows.append([view.id, view.connection, view.state.value, *counts, moment(view.created_at), source])
    terminal.show(build_table(headings, rows, right=headings[3:9]))
    return 0


async def _show(terminal: Terminal, place: Place, services: Services, wanted: str) -> int:
    from rich.text import Text

    from tasks.cli.progress import waiting_words
    from tasks.cli.report import outcome_table, show_troubled
    from tasks.cli.terminal import build_table
    from tasks.cli.words import many, moment, number
    from worker.approval import submitter_of

    await _tidy(place, services)
    view = await find_job(services, wanted)
    if terminal.quiet:
        terminal.print_json(_details(view))
        return 0
    options = {name: value for name, value in _options(view).items() if value not in (None, False)}
    facts = {
        "Job": view.id,
        "Connection": view.connection,
        "State": view.state.value + (f" ({view.why})" if view.why and not view.gate.held else ""),
        "Rows": number(view.counts.rows),
        "List": str(view.info.get("list", "")),
        "SHA-256": str(view.info.get("sha256", "")),
        "By": submitter_of(view.info),
        "Task": str(view.info.get("task", "")),
        "Approved": f"by {view.info['approver']}" if view.info.get("approver") else "",
        "Reason": str(view.info.get("reason", "")),
        "Retry of": str(view.info.get("retry_of", "")),
        "Given": ", ".join(f"{name} {value}" for name, value in options.items()),
        "usher": str(view.info.get("usher", "")),
        "Since": moment(view.created_at),
        "Ended": moment(view.finished_at),
        "On the way": many(view.open, "row") if view.open else "",
    }
    table = build_table(("", ""), [(Text(name, style="dim"), value) for name, value in facts.items() if value])
    table.show_header = False
    terminal.show(table, "", outcome_table(view))
    if not view.ended and (words := waiting_words(view)):
        terminal.show("", words)
    if view.counts.failed or view.counts.in_doubt:
        await show_troubled(terminal, services, view)
    return 0


async def _tidy(place: Place, services: Services) -> None:
    """On a private stack without a worker nothing runs, so nothing is to be shown as running."""
    from tasks.cli.place import pause_left_behind
    from worker.attachment import read_status

    status = read_status() if place.private and not place.up else None
    if status is not None and "worker" not in status.children and set(status.commands) <= {os.getpid()}:
        await pause_left_behind(place, services)


def _details(view: JobView) -> dict[str, Any]:
    from tasks.views import describe_job

    return {
        **describe_job(view),
        "created_at": view.created_at.isoformat(timespec="seconds"),
        "finished_at": view.finished_at.isoformat(timespec="seconds") if view.finished_at else None,
        "elapsed_s": round(((view.finished_at or datetime.now(UTC)) - view.created_at).total_seconds(), 3),
        "info": view.info,
    }


def _options(view: JobView) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(view.options)


async def _move(terminal: Terminal, services: Services, wanted: str, verb: str) -> int:
    from tasks.cli.words import many
    from worker.model import JobState

    view = await find_job(services, wanted)
    if view.ended:
        raise Refusal(f"Job {view.id} has ended already ({view.state.value}); there is nothing to {verb}.")
    if verb == "pause":
        await services.jobs.pause(view.id, "asked for")
    else:
        await services.jobs.cancel(view.id, "asked for")
    after = await services.jobs.view(view.id)
    if after is None:
        raise Refusal(f"Job {view.id} is gone: somebody deleted it.")
    on_the_wire = f"; {many(after.open, 'row')} on the wire still end as what they are" if after.open else ""
    if after.state is JobState.CANCELLED:
        terminal.show(
            f"Job {view.id} is cancelled: {many(after.counts.cancelled, 'row')} will not be sent{on_the_wire}."
        )
    else:
        terminal.show(f"Job {view.id} is {after.state.value}, {many(after.counts.pending, 'row')} left{on_the_wire}.")
        if after.state is JobState.PAUSED:
            terminal.show(f"To go on: usher jobs resume {view.id}")
    if terminal.quiet:
        terminal.print_json(_details(after))
    return 0


async def _delete(terminal: Terminal, services: Services, wanted: str, *, yes: bool) -> int:
    from tasks.cli.words import many

    view = await find_job(services, wanted)
    if terminal.interactive and not yes:
        state = "" if view.ended else f", {view.state.value} with {many(view.counts.pending, 'row')} left"
        question = f"Delete job {view.id} ({many(view.counts.rows, 'row')} on {view.connection}{state}) and its results for good? [y/N]"
        if terminal.ask(question).lower() not in ("y", "yes"):
            raise Refusal("Not confirmed; nothing was deleted.")
    await services.jobs.delete(view.id)
    terminal.show(f"Job {view.id} is deleted.")
    if terminal.quiet:
        terminal.print_json({"job": view.id, "deleted": True})
    return 0


async def _watch(run: Run, services: Services, wanted: str, wait_s: float | None) -> int:
    from tasks.cli.sending import follow_and_report, get_ready

    view = await find_job(services, wanted)
    await services.jobs.follow(view.id, os.getpid())
    if not view.ended:
        await get_ready(run, services, view.connection, own=view.id)
    return await follow_and_report(run, services, view.id, wait_s=wait_s, pauses=not run.place.runs_on)


async def _resume(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    from tasks.cli.sending import follow_and_report, get_ready
    from worker.model import JobState

    view = await find_job(services, wanted)
    if view.state is JobState.CANCELLED:
        raise Refusal(f"Job {view.id} was cancelled and cannot go on; nothing was sent.")
    if view.state is JobState.LOADING:
        raise Refusal(f"Job {view.id} is still being loaded; nothing was sent.")
    await services.jobs.follow(view.id, os.getpid())
    if not view.ended and not view.awaits_approval:  # that one only `approve` lets go
        await get_ready(run, services, view.connection, own=view.id)
        run.session.accepted = view.id
        await services.jobs.resume(view.id)
    return await follow_and_report(run, services, view.id, detach=options["detach"], wait_s=options["wait_s"])


async def _retry(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    from tasks.cli.retrying import collect
    from tasks.cli.sending import Request, get_ready, send
    from worker.actor import find_person
    from worker.model import JobState

    view = await find_job(services, wanted)
    if not view.ended and view.state is not JobState.PAUSED:
        raise Refusal(
            f"Job {view.id} is still {view.state.value}: wait for its end, or pause it, before its failed rows are tried again."
        )
    if not view.counts.failed + view.counts.in_doubt:
        raise Refusal(f"No row of job {view.id} failed or stayed in doubt; nothing was sent.")
    await get_ready(run, services, view.connection)
    person = find_person()
    info = {
        **view.info,
        "by": person.user,
        "host": person.host,
    }  # whoever tries again submits, and is not approved by that
    for name in ("approver", "approved_at", "sha256"):
        info.pop(name, None)
    with await collect(services, view.id) as rows:
        request = Request(
            connection=view.connection,
            rows=rows,
            name=f"retry of {view.id}",
            options=view.options,
            info={**info, "list": f"retry of {view.id}", "retry_of": view.id},
            in_doubt_before=view.counts.in_doubt,
            accept_bad=True,  # they were accepted once
            **{key: options[key] for key in ("yes", "detach", "wait_s")},
        )
        return await send(run, services, request)
