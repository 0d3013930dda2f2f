"""`usher connections`: which there are, whether they work, holding and reopening them. Adding one
stands in `connecting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.connections.checking import MANY, check_names
from cli.connections.connecting import add
from cli.connections.consenting import consent, features_option
from cli.connections.forgetting import forget
from cli.connections.removing import remove
from cli.connections.sharing import add_app
from cli.ui.command_group import CommandGroup
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger, work_on_rows
from tasks.connections import (
    NO_REASON,
    describe_connection,
    faulty_names,
    hold_connection,
    hold_everything,
    reopen_connection,
    reopen_everything,
    untold_faults,
)
from tasks.gone import find_gone

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services


@click.group(cls=CommandGroup)
def connections() -> None:
    """Add connections, get them consented to, check them, hold them, reopen them, remove them, and
    forget the tenants of customers who left.
    """


connections.add_command(add)
connections.add_command(add_app)
connections.add_command(consent)
connections.add_command(remove)
connections.add_command(forget)


@connections.command("list")
@click.argument("name", metavar="[NAME|tag:TAG|all]", required=False)
@click.option("-c", "--connection", metavar="NAME|tag:TAG|all", help="The same as the argument.")
@json_option("One JSON object instead of a table.")
@click.pass_obj
def list_(session: Session, name: str | None, connection: str | None) -> int:
    """List the connections with their tags, and whether their gates are open; many of them in a
    line each. No secret is read.
    """
    if name and connection:
        raise click.UsageError("Name the connections once: as an argument or by -c")
    name = name or connection
    return work_on_ledger(session, lambda terminal, place, services: _list(terminal, place, services, name))


@connections.command()
@click.argument("name", metavar="[NAME|tag:TAG|all]", required=False)
@click.option("--all", "everything", is_flag=True, help="Check every connection.")
@features_option("What must be allowed besides inviting.")
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def check(session: Session, name: str | None, everything: bool, features: tuple[str, ...] | None) -> int:
    """Sign in and say what works and what is missing. Nothing is invited; a hold whose cause is
    gone ends. Status 1 if somebody has to act.
    """
    _need_one(name, everything)
    return work_on_rows(
        session,
        lambda terminal, place, services: check_names(terminal, place, services, name, features or ()),
        sealed=True,
    )


@connections.command()
@click.argument("name", metavar="[NAME|tag:TAG|all]", required=False)
@click.option("--all", "everything", is_flag=True, help="Hold everything, connections unknown here included.")
@click.option("--reason", default=NO_REASON, metavar="TEXT", help="Why; shown to everybody who waits.")
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def hold(session: Session, name: str | None, everything: bool, reason: str) -> int:
    """Stop sending within one batch, until `usher connections reopen`. Rows wait; restarts change
    nothing.
    """
    _need_one(name, everything)
    return work_on_ledger(session, lambda terminal, place, services: _hold(terminal, place, services, name, reason))


@connections.command()
@click.argument("name", metavar="[NAME|tag:TAG|all]", required=False)
@click.option("--all", "everything", is_flag=True, help="Lift the hold on everything; a connection's own hold stays.")
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def reopen(session: Session, name: str | None, everything: bool) -> int:
    """Lift a hold: an operator's, an abuse block that Microsoft has lifted, or any other that need
    not wait for its next try.
    """
    _need_one(name, everything)
    return work_on_ledger(session, lambda terminal, place, services: _reopen(terminal, place, services, name))


async def _list(terminal: Terminal, place: Place, services: Services, wanted: str | None) -> int:
    from rich.text import Text

    from tasks.safe_text import clean

    if terminal.quiet:
        return await _finish(terminal, place, services, wanted)
    told = await _described(place, services, wanted)
    widest = max(len(one["connection"]) for one in told)
    brief = len(told) > MANY
    lines: list[Text] = []
    for one in told:
        name = Text(one["connection"].ljust(widest), style="bold")
        tags = (f"  {' '.join(one['tags'])}" if one["tags"] else "", "dim")
        gate = (one["gate"], "green" if one["gate"] == "open" else "yellow")
        lines.append(Text.assemble(name, "  ", gate, tags))
        if not brief:
            facts = [one["tenant"] and f"tenant {one['tenant']}", one["client"] and f"client {one['client']}"]
            facts += [one["cloud"], one["credential"], one["pace"] and f"pace {one['pace']}"]
            lines.append(Text("  " + " · ".join(clean(fact) for fact in facts if fact), style="dim"))
        if one["why"]:
            lines.append(Text(f"  {clean(one['why'])}"))
    terminal.show(Text("\n").join(lines))  # at once: thousands of lines, one by one, take as many consoles
    if brief:
        is_open = sum(one["gate"] == "open" for one in told)
        terminal.show("", f"{len(told):,} connections: {is_open:,} open, {len(told) - is_open:,} held or slowed down.")
    twins = place.settings.tell_twins(one["connection"] for one in told)
    for sentence in (*untold_faults(place.settings, wanted), *twins):
        terminal.warn(sentence)
    for gone in await find_gone(services) if not wanted else ():
        terminal.warn(gone.describe())
    return 0


async def _described(place: Place, services: Services, wanted: str | None) -> list[dict[str, Any]]:
    known = {*place.settings.connection_names, *faulty_names(place.settings)}
    names = place.settings.choose(wanted, faulty=True) if wanted else sorted(known)
    gates = await services.gates.of_many(names)
    return [describe_connection(services, name, gates[name]) for name in names]


async def _hold(terminal: Terminal, place: Place, services: Services, name: str | None, reason: str) -> int:
    if name is None:
        await hold_everything(services, reason)
        terminal.show("Everything is held: no connection sends any more. To lift it: usher connections reopen --all")
        return await _finish(terminal, place, services, name)
    for fault in untold_faults(place.settings, name):
        terminal.warn(fault)
    for one in place.settings.choose(name, faulty=True):
        await hold_connection(services, one, reason)
        terminal.show(f"{one} is held: it sends nothing any more. To lift it: usher connections reopen {one}")
    return await _finish(terminal, place, services, name)


async def _reopen(terminal: Terminal, place: Place, services: Services, name: str | None) -> int:
    if name is None:
        left = await reopen_everything(services)
        terminal.show("The hold on everything is lifted.")
        for other in left:
            terminal.show(f"{other} is still held by itself: usher connections reopen {other}")
        return await _finish(terminal, place, services, name)
    names = place.settings.choose(name, faulty=True)
    for one in names:
        was_held = await reopen_connection(services, one)
        terminal.show(f"{one} is open again." if was_held else f"{one} was not held.")
    if (await services.gates.of(names[0])).held:
        terminal.show("Everything is still held: usher connections reopen --all")
    return await _finish(terminal, place, services, name)


async def _finish(terminal: Terminal, place: Place, services: Services, name: str | None) -> int:
    """With --json tell how the gates stand now: the one named, or all, as `usher connections list`
    tells them.
    """
    if terminal.quiet:
        terminal.print_json({"connections": await _described(place, services, name)})
    return 0


def _need_one(name: str | None, everything: bool) -> None:
    if bool(name) == everything:
        raise click.UsageError("Give the name of a connection, or --all")
