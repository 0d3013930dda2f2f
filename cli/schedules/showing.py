"""`usher schedules list` and `show`: the schedules, when each is due, how its last runs went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cli.ui.place import Place
from cli.ui.terminal import Terminal, build_facts
from config.cron import find_zone
from config.errors import did_you_mean, quoted
from tasks.checks.forgetful_schedules import find_forgetful
from tasks.errors import Refusal
from tasks.messages.views import describe_job
from tasks.safe_text import clean
from tasks.telling.rounds import Standing, recall_runs
from tasks.telling.words import outcomes
from worker.ledger.timetable import Planned, ScheduledRun, Timetable
from worker.services import Services

_COLOURS = {"ok": "green", "attention": "yellow", "failed": "red", "running": "blue"}


async def planned_schedules(place: Place, timetable: Timetable) -> dict[str, Planned]:
    """Return all schedules: as they stand on the timetable, and those of the file that no beat has
    put there yet.
    """
    return await timetable.planned(place.settings, datetime.now(UTC))


async def find_schedule(place: Place, timetable: Timetable, name: str) -> Planned:
    """Return the schedule of that name. Raises `Refusal`, which lists those there are."""
    planned = await planned_schedules(place, timetable)
    if name not in planned:
        listed = f"; there are: {', '.join(planned)}" if planned else "; there is none at all"
        raise Refusal(f"There is no schedule {quoted(name)}{did_you_mean(name, planned)}{listed}.")
    return planned[name]


async def list_schedules(terminal: Terminal, place: Place, services: Services) -> int:
    """Show each schedule with its next run and its last."""
    timetable = Timetable(services.client, services.keys)
    planned = await planned_schedules(place, timetable)
    forgetful = await find_forgetful(services, planned.values(), datetime.now(UTC))
    recalled = [await recall_runs(timetable, place.settings, one, newest=1) for one in planned.values()]
    told = [
        schedule_details(one, runs, standing) | {"warning": forgetful.get(one.schedule.name)}
        for one, (runs, standing) in zip(planned.values(), recalled, strict=True)
    ]
    beat = await timetable.has_beat()
    if terminal.quiet:
        terminal.print_json({"beat": beat, "timezone": place.settings.timezone, "schedules": told})
        return 0
    if not told:
        terminal.show(
            "No schedules. They stand under [schedules.NAME] in the configuration, or are added: usher schedules add"
            " --help"
        )
        return 0
    if not beat:
        terminal.warn(
            "No beat is running, so nothing fires by itself: start usher beat"
            + (" (usher up has one)." if place.private else ".")
        )
    for one, details, (_, standing) in zip(planned.values(), told, recalled, strict=True):
        _show_line(terminal, one, details, standing)
    return 0


def _show_line(terminal: Terminal, planned: Planned, details: dict[str, Any], standing: Standing | None) -> None:
    """Show one schedule in two lines, and what its last run said; of several connections' runs the
    one that somebody should look at first.
    """
    from rich.text import Text

    schedule, last = planned.schedule, details["last"]
    where = f" on {schedule.connection}" if schedule.connection else ""
    added = ", added at run time" if planned.origin == "added" else ""
    terminal.show(Text.assemble((schedule.name, "bold"), f"  {schedule.task}{where}, {schedule.when}{added}"))
    next_run = moment_of(planned, details["next_run_at"])
    facts = Text(
        f"  next run {next_run}" if next_run else f"  {_why_never(planned)}", style="" if next_run else "yellow"
    )
    if standing is not None:
        facts.append_text(Text.assemble(" · ", (str(standing), _COLOURS.get(standing.worst, ""))))
    elif last:
        facts.append_text(
            Text.assemble(
                " · last run ", moment_of(planned, last["started_at"]), " ", (last["status"], _COLOURS[last["status"]])
            )
        )
    else:
        facts.append(" · it never ran")
    terminal.show(facts)
    if last and last["what"]:
        of = f"{last['connection']}: " if "connection" in last else ""
        terminal.show(Text(f"  {of}{clean(last['what'])}", style="dim"))
    if details["warning"]:
        terminal.warn(details["warning"])


def _as_written(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _why_never(planned: Planned) -> str:
    return (
        "switched off" if planned.off else "switched off in the configuration" if not planned.schedule.enabled else ""
    )


def moment_of(planned: Planned, at: str | None) -> str:
    """Return an instant as the schedule's own clock shows it, with its zone; '' for none."""
    return f"{datetime.fromisoformat(at).astimezone(find_zone(planned.zone)):%Y-%m-%d %H:%M %Z}" if at else ""


def schedule_details(
    planned: Planned, runs: Sequence[ScheduledRun], standing: Standing | None = None
) -> dict[str, Any]:
    """Return a schedule as `--json` tells of it, with the newest of its runs and, of one over
    several connections, how the last run of each stands.
    """
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
        "last_run_at": _iso(max(last.started_ms, standing.newest_ms if standing else 0)) if last else None,
        "next_run_at": next_at.isoformat(timespec="seconds") if next_at else None,
        "last": run_details(last) if last else None,
        "connections": None if standing is None else standing.counts,
    }


def run_details(run: ScheduledRun) -> dict[str, Any]:
    """Return a run as `--json` tells of it."""
    return {
        **({"connection": run.connection} if run.connection else {}),
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


async def show_schedule(terminal: Terminal, place: Place, services: Services, name: str) -> int:
    """Show a schedule, and its last runs with their jobs."""
    from rich.text import Text

    timetable = Timetable(services.client, services.keys)
    planned = await find_schedule(place, timetable, name)
    runs, standing = await recall_runs(timetable, place.settings, planned)
    jobs = {job: await services.jobs.view(job) for job in {job for run in runs[:5] for job in run.jobs}}
    if terminal.quiet:
        told = [
            {**run_details(run), "details": list(run.details)}
            | {"jobs": [describe_job(view) if (view := jobs.get(job)) else {"job": job} for job in run.jobs]}
            for run in runs
        ]
        terminal.print_json({**schedule_details(planned, runs, standing), "args": planned.shown_args, "runs": told})
        return 0
    facts = {
        "Schedule": name,
        "Task": planned.schedule.task,
        "Connection": planned.schedule.connection or "",
        "Last runs": "" if standing is None else str(standing),
        "When": f"{planned.schedule.when} ({planned.zone})",
        "Given": ", ".join(f"{key} {_as_written(value)}" for key, value in planned.shown_args.items()),
        "From": "the configuration file" if planned.origin == "file" else "added at run time",
        "Next run": moment_of(planned, schedule_details(planned, [])["next_run_at"]) or _why_never(planned),
    }
    table = build_facts((key, value) for key, value in facts.items() if value)
    terminal.show(table, "")
    if not runs:
        terminal.show("It never ran.")
    width = max((len(one.connection) for one in runs), default=0)
    for one in runs:
        by = "" if one.by == "beat" else f", by {clean(one.by)}"
        terminal.show(
            Text.assemble(
                f"{moment_of(planned, _iso(one.started_ms))}  ",
                f"{one.connection:<{width}}  " if width else "",
                (one.status, _COLOURS[one.status]),
                by,
            )
        )
        if one.what:
            terminal.show(f"  {clean(one.what)}")
        for job in one.jobs:
            if view := jobs.get(job):
                terminal.show(Text(f"  job {job}, {view.state.value}: {outcomes(describe_job(view))}", style="dim"))
    return 0
