"""A list of guests becomes a job of an operation: `usher guests remind`, `reset`, and all others
that change guests who are there.

Each is one line of `CHANGES`; all take what `usher invite` takes, as far as it has a meaning for
them, and go the same way: load, plan, ask, start, follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from cli.ui.options import follow_options, list_options
from cli.ui.session import Session


@dataclass(frozen=True, slots=True)
class Change:
    """A command that changes guests, by the operation's name. `only_with_yes`: without --yes it
    shows what it would do, and does nothing.
    """

    operation: str
    help: str
    only_with_yes: bool = False


CHANGES = (
    Change(
        "remind",
        "Mail guests their invitation again who have not accepted it: three times at most, three days apart at least,"
        " unless the connection's settings say otherwise.",
    ),
    Change("reset", "Let guests accept anew, by the same or another of their addresses. Groups and apps stay."),
)


def add_changes(guests: click.Group) -> None:
    """Add a command for each of `CHANGES`."""
    for change in CHANGES:
        guests.add_command(_build(change))


def _build(change: Change) -> click.Command:
    @click.pass_obj
    def run(session: Session, /, source: tuple[str, ...], **given: Any) -> int:
        from cli.invite.command import run_change

        if change.only_with_yes and not given["yes"]:
            given["dry_run"] = True
        return run_change(session, change.operation, source, given)

    command = click.command(change.operation, help=change.help)(follow_options(list_options(run)))
    for option in (_MOST, _OUTPUT, _DRY_RUN, _CONNECTION, _SOURCE):
        command.params.insert(0, option)
    return command


_SOURCE = click.Argument(["source"], metavar="FILE|ADDRESS…|-", nargs=-1)
_CONNECTION = click.Option(["-c", "--connection"], metavar="NAME", help="The tenant's connection.")
_DRY_RUN = click.Option(["--dry-run"], is_flag=True, help="Ask the tenant, show what would happen; do nothing.")
_OUTPUT = click.Option(
    ["-o", "--output"], metavar="FILE", help="With --dry-run: the list with what would become of each row."
)
_MOST = click.Option(
    ["--most"],
    type=click.IntRange(min=0),
    metavar="N",
    help="Where it would be done to more than N guests, do it to none.",
)
