"""`usher doctor`: whether everything is as it should be, a line each, and what to do otherwise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli.ui.interrupts import Interrupts
from cli.ui.options import json_option
from cli.ui.session import Session

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from tasks.checks.installation import Fact


@click.command()
@json_option("One JSON object instead of lines.")
@click.pass_obj
def doctor(session: Session) -> int:
    """Look at Redis, workers, beats, clocks and every connection. Nothing is invited; a hold whose
    cause is gone ends.

    Status 1 if anything is wrong; each such line says what to do.
    """
    from cli.ui.place import open_place
    from cli.ui.terminal import Terminal

    with Interrupts().caught(), open_place() as place:
        return asyncio.run(_examine(Terminal(session), place))


async def _examine(terminal: Terminal, place: Place) -> int:
    from tasks.checks.installation import examine
    from worker.services import open_services

    found: list[Fact] = []
    # Not through `place.services`: a server that may not keep a ledger is a line here, not the end.
    async with open_services(lambda: place.settings, place.settings.redis.url or "") as services:
        async for fact in examine(services, private=place.private):
            if not terminal.quiet:
                _show(terminal, fact, heading=not found or found[-1].about != fact.about)
            found.append(fact)
    wrong = sum(not fact.ok for fact in found)
    if terminal.quiet:
        told: list[dict[str, Any]] = [{"about": fact.about, "ok": fact.ok, "what": fact.what} for fact in found]
        terminal.print_json({"ok": not wrong, "findings": told})
    else:
        many = "1 thing needs" if wrong == 1 else f"{wrong} things need"
        warns = any(fact.warns for fact in found)
        well = "Nothing is broken; what has a ! may not be meant." if warns else "All is well."
        terminal.show("", f"{many} somebody." if wrong else well)
    return 1 if wrong else 0


def _show(terminal: Terminal, fact: Fact, *, heading: bool) -> None:
    from rich.text import Text

    from cli.ui.terminal import build_facts, build_mark
    from tasks.safe_text import clean

    if heading:
        terminal.show(Text(clean(fact.about), style="bold"))
    table = build_facts([(build_mark(ok=fact.ok, optional=fact.optional, warns=fact.warns), clean(fact.what))])
    terminal.show(table)
