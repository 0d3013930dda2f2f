"""`usher schedules`: what usher does by itself, when it did it last and how that went; adding, switching, running at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.cli.errors import Refusal
from tasks.cli.groups import CommandGroup
from tasks.cli.interrupts import Interrupts
from tasks.cli.options import Seconds, json_option
from tasks.cli.session import Session

if TYPE_CHECKING:
    from tasks.cli.place import Place
    from tasks.cli.terminal import Terminal
    from worker.services import Services
    from worker.timetable import Planned, Run, Timetable

_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
_RUN_WITHIN_S = 60.0
_LOOK_S = 0.3


@click.group(cls=CommandGroup, context_settings=_HELP)
def schedules() -> None:
    """What usher does by itself: list, add, remove, enable, disable, run at once.

    Schedules stand in the configuration file, or are added here. `usher beat` (part of `usher up`) fires them.
    """


@schedules.command("list")
@json_option("One JSON object instead of lines.")
@click.pass_obj
def list_(session: Session, wants_json: bool) -> int:
    """List the schedules with their last and next run, and the last result."""
    return _read(session, _list)


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def show(session: Session, name: str, wants_json: bool) -> int:
    """Show a schedule and its last runs."""
    return _read(session, lambda terminal, place, services: _show(terminal, place, services, name))


@schedules.command()
@click.argument("name")
@click.option("--task", required=True, metavar="TASK", help="invite_file, check_connections or retry_failed.")
@click.option("-c", "--connection", metavar="NAME", help="The connection it works on.")
@click.option("--cron", metavar="FIELDS", help='When: minute hour day month weekday, such as "0 2 * * *".')
@click.option("--every", metavar="TIME", help="When: so long after the last run, such as 6h.")
@click.option("--arg", "args", multiple=True, metavar="KEY=VALUE", help="An argument of the task; may be given again.")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def add(session: Session, /, name: str, args: tuple[str, ...], wants_json: bool, **given: str | None) -> int:
    """Add a schedule at run time, beside those of the configuration file.

    \b
      usher schedules add nightly --task invite_file -c contoso --cron "0 2 * * *" --arg path=/data/partners.csv
    """
    table: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    pairs = [text.partition("=") for text in args]
    for key, equals, _ in pairs:
        if not equals:
            raise click.UsageError(f"--arg {key[:40]!r} is not of the form KEY=VALUE.")
    if pairs:
        table["args"] = {key.strip(): value for key, _, value in pairs}
    return _read(session, lambda terminal, place, services: _add(terminal, place, services, name, table))


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def remove(session: Session, name: str, wants_json: bool) -> int:
    """Remove a schedule that was added at run time."""
    return _read(session, lambda terminal, place, services: _remove(terminal, place, services, name))


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def enable(session: Session, name: str, wants_json: bool) -> int:
    """Let a schedule fire again. What it missed meanwhile is not made up for."""
    return _read(session, lambda terminal, place, services: _switch(terminal, place, services, name, off=False))


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def disable(session: Session, name: str, wants_json: bool) -> int:
    """Let a schedule fire no more, wherever it stands. What it started goes on."""
    return _read(session, lambda terminal, place, services: _switch(terminal, place, services, name, off=True))


@schedules.command()
@click.argument("name")
@click.option(
    "--wait",
    "wait_s",
    type=Seconds(),
    default=_RUN_WITHIN_S,
    metavar="TIME",
    help="How long to wait for its result: 60s.",
)
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def run(session: Session, name: str, wait_s: float, wants_json: bool) -> int:
    """Run a schedule now, by a worker, and say how it went: 0 well, 1 not, 3 still at it.

    Its next run stays when it is.
    """
    from tasks.cli.place import refuse_to_leave_running

    refuse_to_leave_running(what="A scheduled run")
    return _read(session, lambda terminal, place, services: _run(terminal, place, services, name, wait_s))


def _read(session: Session, work: Callable[[Terminal, Place, Services], Awaitable[int]]) -> int:
    from tasks.cli.place import open_place
    from tasks.cli.terminal import Terminal

    async def go(place: Place) -> int:
        async with place.services(sealed=False) as services:
            return await work(Terminal(session), place, services)

    with Interrupts().caught(), open_place() as place:
        return asyncio.run(go(place))


async def _planned(place: Place, timetable: Timetable) -> dict[str, Planned]:
    """Return all schedules: as they stand on the timetable, and those of the file that no beat has put there yet."""
    from worker.timetable import plan

    known = await timetable.all()
    settings, now = place.settings, datetime.now(UTC)
    missing = {
        name: plan(one, None, "file", settings.timezone, now)
        for name, one in settings.schedules.items()
        if name not in known
    }
    return dict(sorted((known | missing).items()))


async def _find(place: Place, timetable: Timetable, name: str) -> Planned:
    from config.errors import did_you_mean, quoted

    planned = await _planned(place, timetable)
    if name not in planned:
        listed = f"; there are: {', '.join(planned)}" if planned else "; there is none at all"
        raise Refusal(f"There is no schedule {quoted(name)}{did_you_mean(name, planned)}{listed}.")
    return planned[name]


async def _list(terminal: Terminal, place: Place, services: Services) -> int:
    from worker.timetable import Timetable

    timetable = Timetable(services.client, services.keys)
    planned = await _planned(place, timetable)
    told = [_details(one, await timetable.runs(name, newest=1)) for name, one in planned.items()]
    beat = await timetable.has_beat()
    if terminal.quiet:
        terminal.print_json({"beat": beat, "timezone": place.settings.timezone, "schedules": told})
        return 0
    if not told:
        terminal.show(
            "No schedules. They stand under [schedules.NAME] in the configuration, or are added: usher schedules add --help"
        )
        return 0
    if not beat:
        terminal.warn(
            "No beat is running, so nothing fires by itself: start usher beat"
            + (" (usher up has one)." if place.private else ".")
        )
    for one, details in zip(planned.values(), told, strict=True):
        _show_line(terminal, one, details)
    return 0


def _show_line(terminal: Terminal, planned: Planned, details: dict[str, Any]) -> None:
    """Show one schedule in two lines, and what its last run said."""
    from rich.text import Text

    from tasks.cli.terminal import clean

    schedule, last = planned.schedule, details["last"]
    where = f" on {schedule.connection}" if schedule.connection else ""
    added = ", added at run time" if planned.origin == "added" else ""
    terminal.show(Text.assemble((schedule.name, "bold"), f"  {schedule.task}{where}, {schedule.when}{added}"))
    next_run = _moment(planned, details["next_run_at"])
    facts = Text(
        f"  next run {next_run}" if next_run else f"  {_why_never(planned)}", style="" if next_run else "yellow"
    )
    if last:
        facts.append_text(
            Text.assemble(
                " · last run ", _moment(planned, last["started_at"]), " ", (last["status"], _COLOURS[last["status"]])
            )
        )
    else:
        facts.append(" · it never ran")
    terminal.show(facts)
    if last and last["what"]:
        terminal.show(Text(f"  {clean(last['what'])}", style="dim"))


_COLOURS = {"ok": "green", "attention": "yellow", "failed": "red", "running": "blue"}


def _why_never(planned: Planned) -> str:
    return (
        "switched off" if planned.off else "switched off in the configuration" if not planned.schedule.enabled else ""
    )


def _moment(planned: Planned, at: str | None) -> str:
    from worker.timetable import find_zone

    return f"{datetime.fromisoformat(at).astimezone(find_zone(planned.zone)):%Y-%m-%d %H:%M}" if at else ""


def _details(planned: Planned, runs: list[Run]) -> dict[str, Any]:
    schedule, last = planned.schedule, runs[0] if runs else None
    next_at = planned.next_at
    return {
        "schedule": schedule.name,
        "task": schedule.task,
        "connection": schedule.connection,
        "when": schedule.when,
        "timezone": planned.zone,
        "from": planned.origin,
        "enabled": planned.enabled,
        "last_run_at": _iso(last.started_ms) if last else None,
        "next_run_at": next_at.isoformat(timespec="seconds") if next_at else None,
        "last": _run_details(last) if last else None,
    }


def _run_details(run: Run) -> dict[str, Any]:
    return {
        "due_at": _iso(run.due_ms),
        "by": run.by,
        "started_at": _iso(run.started_ms),
        "ended_at": _iso(run.ended_ms) if run.ended_ms else None,
        "status": run.status,
        "what": run.what,
        "jobs": list(run.jobs),
    }


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


async def _show(terminal: Terminal, place: Place, services: Services, name: str) -> int:
    from rich.text import Text

    from tasks.cli.terminal import build_table, clean
    from tasks.cli.words import outcomes
    from tasks.views import describe_job
    from worker.timetable import Timetable

    timetable = Timetable(services.client, services.keys)
    planned = await _find(place, timetable, name)
    runs = await timetable.runs(name)
    jobs = {job: await services.jobs.view(job) for job in {job for run in runs[:5] for job in run.jobs}}
    if terminal.quiet:
        told = [
            {**_run_details(run), "details": list(run.details)}
            | {"jobs": [describe_job(view) if (view := jobs.get(job)) else {"job": job} for job in run.jobs]}
            for run in runs
        ]
        terminal.print_json({**_details(planned, runs), "args": _shown_args(planned), "runs": told})
        return 0
    facts = {
        "Schedule": name,
        "Task": planned.schedule.task,
        "Connection": planned.schedule.connection or "",
        "When": f"{planned.schedule.when} ({planned.zone})",
        "Given": ", ".join(f"{key} {value}" for key, value in _shown_args(planned).items()),
        "From": "the configuration file" if planned.origin == "file" else "added at run time",
        "Next run": _moment(planned, _details(planned, [])["next_run_at"]) or _why_never(planned),
    }
    table = build_table(("", ""), [(Text(key, style="dim"), value) for key, value in facts.items() if value])
    table.show_header = False
    terminal.show(table, "")
    if not runs:
        terminal.show("It never ran.")
    for one in runs:
        by = "" if one.by == "beat" else f", by {clean(one.by)}"
        terminal.show(
            Text.assemble(f"{_moment(planned, _iso(one.started_ms))}  ", (one.status, _COLOURS[one.status]), by)
        )
        if one.what:
            terminal.show(f"  {clean(one.what)}")
        for job in one.jobs:
            if view := jobs.get(job):
                terminal.show(Text(f"  job {job}, {view.state.value}: {outcomes(describe_job(view))}", style="dim"))
    return 0


def _shown_args(planned: Planned) -> dict[str, Any]:
    """The arguments as they may be shown: an address of a list may carry a signature."""
    from worker.masking import mask_text

    return {key: mask_text(value) if isinstance(value, str) else value for key, value in planned.schedule.args.items()}


async def _add(terminal: Terminal, place: Place, services: Services, name: str, table: dict[str, Any]) -> int:
    from config import parse_schedule
    from worker.timetable import Timetable, plan

    settings = place.settings
    schedule = parse_schedule(name, table, settings.connection_names, base=Path.cwd())
    timetable = Timetable(services.client, services.keys)
    if name in await _planned(place, timetable):
        raise Refusal(
            f"There is a schedule {name} already; nothing was changed. Remove it first, or take another name."
        )
    planned = plan(schedule, None, "added", settings.timezone, datetime.now(UTC))
    await timetable.put(planned)
    await services.trail.note(
        "schedule.added", schedule=name, task=schedule.task, connection=schedule.connection, when=schedule.when
    )
    return _finish(terminal, planned, f"Schedule {name} is added. {_next_words(planned)}")


async def _remove(terminal: Terminal, place: Place, services: Services, name: str) -> int:
    from worker.timetable import Timetable

    timetable = Timetable(services.client, services.keys)
    planned = await _find(place, timetable, name)
    if name in place.settings.schedules:
        raise Refusal(
            f"Schedule {name} stands in {place.settings.source or 'the environment'}: remove it there, or usher schedules disable {name}."
        )
    await timetable.remove(name)
    await services.trail.note("schedule.removed", schedule=name)
    return _finish(terminal, planned, f"Schedule {name} is removed. Jobs that it started go on.")


async def _switch(terminal: Terminal, place: Place, services: Services, name: str, *, off: bool) -> int:
    from worker.timetable import Timetable, switch

    timetable = Timetable(services.client, services.keys)
    planned = await _find(place, timetable, name)
    if not off and not planned.schedule.enabled:
        raise Refusal(f"Schedule {name} is switched off in the configuration (enabled = false): switch it on there.")
    planned = switch(planned, off=off, now=datetime.now(UTC))
    await timetable.put(planned)
    if off:
        await services.trail.note("schedule.disabled", schedule=name)
    else:
        await services.trail.note("schedule.enabled", schedule=name)
    said = f"Schedule {name} fires no more. To switch it on again: usher schedules enable {name}"
    return _finish(terminal, planned, said if off else f"Schedule {name} is on. {_next_words(planned)}")


def _next_words(planned: Planned) -> str:
    next_at = planned.next_at
    return (
        f"Its next run is at {_moment(planned, next_at.isoformat())} ({planned.zone})."
        if next_at
        else "It is switched off."
    )


def _finish(terminal: Terminal, planned: Planned, sentence: str) -> int:
    terminal.show(sentence)
    if terminal.quiet:
        terminal.print_json(_details(planned, []))
    return 0


async def _run(terminal: Terminal, place: Place, services: Services, name: str, wait_s: float) -> int:
    from tasks.cli.terminal import clean
    from worker.actor import find_person
    from worker.timetable import TASK, Timetable

    timetable = Timetable(services.client, services.keys)
    planned = await _find(place, timetable, name)
    connection = planned.schedule.connection or ""
    if place.private and place.is_built_in(connection):
        place.need_worker(connection)  # the sandbox runs while a command is attached that asked for it
    seconds, micros = await services.client.time()
    due_ms = int(seconds) * 1000 + int(micros) // 1000
    await asyncio.to_thread(_publish, TASK, name, due_ms, find_person().user)
    until_s = asyncio.get_running_loop().time() + wait_s
    found = None
    while asyncio.get_running_loop().time() < until_s:
        found = await timetable.run(name, due_ms)
        if found is not None and found.ended_ms:
            break
        await asyncio.sleep(_LOOK_S)
    if terminal.quiet:
        terminal.print_json({"schedule": name, **(_run_details(found) if found else {"status": "waiting"})})
    elif found is None:
        terminal.warn(f"No worker has begun it yet; it runs when one is free: usher schedules show {name}")
    elif not found.ended_ms:
        terminal.warn(f"A worker is at it: usher schedules show {name}")
    else:
        terminal.show(clean(found.what))
        for job in found.jobs:
            terminal.show(f"To follow it: usher jobs watch {job}")
    if found is None or not found.ended_ms:
        return 3
    return 0 if found.status == "ok" else 1


def _publish(task: str, name: str, due_ms: int, by: str) -> None:
    """Send the firing as the beat does."""
    from kombu.exceptions import OperationalError

    from worker.app import app

    try:
        app.send_task(
            task,
            kwargs={"name": name, "due_ms": due_ms, "by": by},
            ignore_result=True,
            argsrepr=f"(schedule {name}, by hand)",
            kwargsrepr="{}",
        )
    except OperationalError as error:
        raise Refusal(f"The broker cannot be reached ({type(error).__name__}); nothing was started.") from None
