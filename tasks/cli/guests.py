"""`usher guests`: what can be asked about one person rather than about a list."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from tasks.cli.errors import Refusal
from tasks.cli.interrupts import Interrupts
from tasks.cli.options import json_option
from tasks.cli.session import Session

if TYPE_CHECKING:
    from tasks.cli.place import Place
    from tasks.cli.terminal import Terminal

_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_HELP)
def guests() -> None:
    """Forget a person everywhere."""


@guests.command()
@click.argument("email")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def forget(session: Session, email: str, wants_json: bool) -> int:
    """Remove a person's address, name, reference and redeem link from the index and from every job that has ended.

    Each row's outcome and Microsoft's ids stay. Files of results and the guest in the tenant are not touched.
    """
    from tasks.cli.place import open_place
    from tasks.cli.terminal import Terminal

    wanted = email.strip()
    if not wanted:
        raise Refusal("There is no address to forget.")
    with Interrupts().caught(), open_place() as place:
        return asyncio.run(_forget(Terminal(session), place, wanted))


async def _forget(terminal: Terminal, place: Place, email: str) -> int:
    from tasks.cli.words import many
    from worker.forgetting import forget as forget_everywhere

    async with place.services() as services:
        for warning in place.warnings:
            terminal.warn(warning)
        done = await forget_everywhere(services.ledger, services.index, email)
    if done.rows or done.entries:
        index = "the index of guests too" if done.entries else "the index of guests held nothing"
        terminal.show(
            f"Forgotten: {many(done.rows, 'row')} of {many(done.jobs, 'job')} {'no longer names' if done.rows == 1 else 'no longer name'} this person; {index}."
        )
    else:
        terminal.show("usher holds nothing of this person; the address was compared whole, however it is spelled.")
    if terminal.quiet:
        terminal.print_json({"rows": done.rows, "jobs": done.jobs, "index": done.entries})
    return 0
