"""A list of guests becomes a job of an operation: `usher guests remind`, `disable`, `delete` and
all others that change guests who are there.

Each is one line of `CHANGES`; all take what `usher invite` takes, as far as it has a meaning for
them. Those that mail are planned as an invitation is (`cli/invite/sending.py`); of the others each
row is told with its reason (`flow.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import click

from cli.ui.interrupts import Interrupts
from cli.ui.options import follow_options, list_options, take_list_options
from cli.ui.session import Session


@dataclass(frozen=True, slots=True)
class Change:
    """A command that changes guests, by the operation's name. `only_with_yes`: without --yes it
    shows what it would do, and does nothing. `by_row`: what would become of each row is told, and
    guests may be named by id. `pairs`: each with the new address.
    """

    operation: str
    help: str
    only_with_yes: bool = False
    by_row: bool = False
    pairs: bool = False


_SPARED = (
    "Without --yes nothing is done: what would be is shown row by row.\n\nNever a member, never an account that did not"
    " come by an invitation, never who holds, or may take, a directory role."
)
CHANGES = (
    Change(
        "remind",
        "Mail guests their invitation again who have not accepted it: three times at most, three days apart at least,"
        " unless the connection's settings say otherwise.",
    ),
    Change("reset", "Let guests accept anew, by the same or another of their addresses. Groups and apps stay."),
    Change(
        "update",
        "Bring guests who are there to what a list says of them: profile, sponsors, groups, teams. Only what differs is"
        " written.\n\nNobody is invited, nothing is cleared, and nobody is taken out of a group.",
    ),
    Change(
        "move",
        "Give guests another address, by which they accept anew. Id, groups and apps stay.\n\nA file has the columns"
        " email and new_email.",
        by_row=True,
        pairs=True,
    ),
    Change("disable", f"Keep guests from signing in. {_SPARED}", only_with_yes=True, by_row=True),
    Change("enable", "Let guests sign in again who were disabled.", by_row=True),
    Change(
        "delete",
        f"Delete guests, who can be restored for 30 days, with their groups and apps. {_SPARED}",
        only_with_yes=True,
        by_row=True,
    ),
    Change(
        "restore",
        "Bring guests back who were deleted in the last 30 days: the same guests, with their groups and apps.",
        by_row=True,
    ),
)


def add_changes(guests: click.Group) -> None:
    """Add a command for each of `CHANGES`."""
    for change in CHANGES:
        guests.add_command(_build(change))


def is_told_by_row(operation: str) -> bool:
    """Whether what would become of each row is told, before an operation is done to it."""
    from worker.operations.registry import find_operation

    by_row = {change.operation for change in CHANGES if change.by_row}
    return operation in by_row or find_operation(operation).only_looks


def _build(change: Change) -> click.Command:
    @click.pass_obj
    def run(session: Session, /, source: tuple[str, ...], **given: Any) -> int:
        if change.only_with_yes and not given["yes"]:
            given["dry_run"] = True
        return (_run_by_row if change.by_row else _run_planned)(session, change, source, given)

    command = click.command(change.operation, help=change.help)(follow_options(list_options(run)))
    whom = _PAIRS if change.pairs else _GUESTS
    own = (_MOST, _DRY_RUN, _CONNECTION, whom) if change.by_row else (_MOST, _OUTPUT, _DRY_RUN, _CONNECTION, _SOURCE)
    for option in own:
        command.params.insert(0, option)
    return command


def _run_planned(session: Session, change: Change, source: tuple[str, ...], given: dict[str, Any]) -> int:
    from cli.guests.flow import end_beyond
    from cli.invite.command import run_change
    from cli.ui.terminal import Terminal
    from tasks.submission.ceiling import CeilingMet

    try:
        return run_change(session, change.operation, source, given)
    except CeilingMet as met:
        return end_beyond(Terminal(session), change.operation, given["connection"], met)


def _run_by_row(session: Session, change: Change, source: tuple[str, ...], given: dict[str, Any]) -> int:
    from cli.follow.run import Run
    from cli.guests.flow import open_tenant, run_rows
    from cli.guests.rows_together import RowsTogether
    from cli.guests.sources import open_guests, open_moves
    from cli.guests.together import Wanted
    from cli.invite.command import choose_connections
    from cli.ui.place import open_place, refuse_to_leave_running
    from cli.ui.terminal import Terminal
    from tasks.errors import InputError, Refusal
    from tasks.submission.splitting import Split

    terminal, interrupts = Terminal(session), Interrupts()
    if not source or not given["connection"]:
        raise click.UsageError("Give the guests (a file, addresses, ids or -) and the connection (-c NAME).")
    with interrupts.caught(), ExitStack() as closing:
        try:
            opening = open_moves if change.pairs else open_guests
            names = choose_connections(given["connection"])
            rows, name = opening(terminal, source, take_list_options(given).through(names), closing)
            if given["detach"] and not given["dry_run"]:
                refuse_to_leave_running()
            run = Run(session, terminal, interrupts, closing.enter_context(open_place()))
            following = {key: given[key] for key in ("yes", "detach", "wait_s")}

            async def do() -> int:
                async with run.place.services() as services:
                    if len(names) > 1:
                        split = closing.enter_context(Split(names))
                        split.add_all(rows)
                        wanted = Wanted(change.operation, given["dry_run"], **following)
                        return await RowsTogether(services, split, name, wanted, given["most"]).do(run)
                    return await run_rows(
                        run,
                        services,
                        await open_tenant(run, services, names[0]),
                        rows,
                        operation=change.operation,
                        name=name,
                        dry=given["dry_run"],
                        most=given["most"],
                        **following,
                    )

            return asyncio.run(do())
        except InputError as error:  # while rows are read a job does not run yet, and it goes with the error
            raise Refusal(f"{error} Nothing was done.") from None


_SOURCE = click.Argument(["source"], metavar="FILE|ADDRESS…|-", nargs=-1)
_GUESTS = click.Argument(["source"], metavar="FILE|ADDRESS…|ID…|-", nargs=-1)
_PAIRS = click.Argument(["source"], metavar="OLD=NEW…|FILE|-", nargs=-1)
_CONNECTION = click.Option(
    ["-c", "--connection"], metavar="NAME", help="The tenant's connection; several as A,B, tag:TAG or all."
)
_DRY_RUN = click.Option(["--dry-run"], is_flag=True, help="Ask the tenant, show what would happen; do nothing.")
_OUTPUT = click.Option(
    ["-o", "--output"], metavar="FILE", help="With --dry-run: the list with what would become of each row."
)
_MOST = click.Option(
    ["--most"],
    type=click.IntRange(min=0),
    metavar="N",
    help="Where it would be done to more than N guests of a tenant, do it to none there (status 3).",
)
