"""`usher schedules`: what usher does by itself, when it did it last and how that went; adding,
switching, running at once.
"""

from __future__ import annotations

from typing import Any

import click

from cli.ui.command_group import CommandGroup
from cli.ui.options import Seconds, json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger

_RUN_WITHIN_S = 60.0


@click.group(cls=CommandGroup)
def schedules() -> None:
    """What usher does by itself: list, add, remove, enable, disable, run at once.

    Schedules stand in the configuration file, or are added here. `usher beat` (part of `usher up`)
    fires them.
    """


@schedules.command("list")
@json_option("One JSON object instead of lines.")
@click.pass_obj
def list_(session: Session) -> int:
    """List the schedules with their last and next run, and the last result."""
    from cli.schedules.showing import list_schedules

    return work_on_ledger(session, list_schedules)


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def show(session: Session, name: str) -> int:
    """Show a schedule and its last runs."""
    from cli.schedules.showing import show_schedule

    return work_on_ledger(session, lambda terminal, place, services: show_schedule(terminal, place, services, name))


@schedules.command()
@click.argument("name")
@click.option("--task", required=True, metavar="TASK", help="What is done, such as invite_file or clean_guests.")
@click.option("-c", "--connection", metavar="NAME", help="The connection it works on; several as A,B, tag:TAG or all.")
@click.option("--cron", metavar="FIELDS", help='When: minute hour day month weekday, such as "0 2 * * *".')
@click.option("--every", metavar="TIME", help="When: so long after the last run, such as 6h.")
@click.option("--spread", metavar="TIME", help="Over how long the runs of several connections are spread, such as 2h.")
@click.option("--arg", "args", multiple=True, metavar="KEY=VALUE", help="An argument of the task; may be given again.")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def add(session: Session, /, name: str, args: tuple[str, ...], **given: str | None) -> int:
    """Add a schedule at run time, beside those of the configuration file.

    \b
      usher schedules add nightly --task invite_file -c contoso --cron "0 2 * * *" \\
          --arg path=/data/partners.csv
      usher schedules add clean --task clean_guests -c tag:eu --cron "0 2 * * *" --spread 2h \\
          --arg confirm=true
    """
    from cli.schedules.changes import add_schedule

    table: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    pairs = [text.partition("=") for text in args]
    for key, equals, _ in pairs:
        if not equals:
            raise click.UsageError(f"--arg {key[:40]!r} is not of the form KEY=VALUE.")
    if pairs:
        table["args"] = {key.strip(): value for key, _, value in pairs}
    return work_on_ledger(
        session, lambda terminal, place, services: add_schedule(terminal, place, services, name, table)
    )


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def remove(session: Session, name: str) -> int:
    """Remove a schedule that was added at run time."""
    from cli.schedules.changes import remove_schedule

    return work_on_ledger(session, lambda terminal, place, services: remove_schedule(terminal, place, services, name))


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def enable(session: Session, name: str) -> int:
    """Let a schedule fire again. What it missed meanwhile is not made up for."""
    from cli.schedules.changes import switch_schedule

    return work_on_ledger(
        session, lambda terminal, place, services: switch_schedule(terminal, place, services, name, off=False)
    )


@schedules.command()
@click.argument("name")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def disable(session: Session, name: str) -> int:
    """Let a schedule fire no more, wherever it stands. What it started goes on."""
    from cli.schedules.changes import switch_schedule

    return work_on_ledger(
        session, lambda terminal, place, services: switch_schedule(terminal, place, services, name, off=True)
    )


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
def run(session: Session, name: str, wait_s: float) -> int:
    """Run a schedule now, by a worker, and say how it went: 0 well, 1 not, 3 still at it.

    One over several connections runs for each of them, all at once. Its next run stays when it is.
    """
    from cli.schedules.changes import run_schedule
    from cli.ui.place import refuse_to_leave_running

    refuse_to_leave_running(what="A scheduled run")
    return work_on_ledger(
        session, lambda terminal, place, services: run_schedule(terminal, place, services, name, wait_s)
    )
