"""`usher connections forget`: all that the ledger holds of a connection and its tenant goes, once
the customer has left.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.ui.confirming import confirm_for_good
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.people.forget_connection import Gone, Held
    from worker.services import Services


@click.command()
@click.argument("name")
@click.option(
    "--tenant",
    default="",
    metavar="ID",
    help="The Directory (tenant) ID, where neither the configuration nor the ledger knows it any more.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask; without a terminal nothing is erased without it.")
@json_option("One JSON object with counts instead of sentences.")
@click.pass_obj
def forget(session: Session, name: str, tenant: str, yes: bool) -> int:
    """Remove all that usher holds of a connection's tenant: jobs with their rows, the index of
    guests, who was reminded or disabled, schedules' runs, gates and counts.

    Refused while jobs of it have not ended, or somebody holds it and it is configured. The audit
    trail stays for as long as it is kept, without the hashes of addresses. Files of results,
    and guests in the tenant, are not touched.
    """
    from config.values import parse_name

    try:
        parse_name(name)
    except ValueError as error:
        raise click.UsageError(f"{name[:64]!r} cannot be a connection's name: it {error}.") from None
    return work_on_ledger(
        session,
        lambda terminal, place, services: _forget(terminal, place, services, name, tenant, yes=yes),
        sealed=True,
    )


async def _forget(terminal: Terminal, place: Place, services: Services, name: str, tenant: str, *, yes: bool) -> int:
    from tasks.telling.words import many
    from worker.people.forget_connection import find_held, forget_connection, was_known

    if place.settings.unread:
        raise Refusal(
            "Nothing was forgotten: another connection may be of the same tenant, and the list of connections, which"
            " would tell, cannot be read."
        )
    held = await find_held(services, name, tenant)
    if name in place.settings.connections:
        await _keep_hold(services, name)
    elif not held.anything and not tenant and not await was_known(services, name):
        raise Refusal(_unknown(name))
    _warn(terminal, place, held)
    jobs = many(len(held.jobs), "job")
    question = f"Erase all that usher holds of connection {name}, {jobs} among it, for good?"
    confirm_for_good(terminal, question, "erased", yes=yes)
    gone = await forget_connection(services, held)
    if not gone.anything and name not in place.settings.connections and not await was_known(services, name):
        raise Refusal(_unknown(name))  # nor was there anything of the tenant that somebody named
    if gone.anything:
        facts = asdict(gone) | {"kept_of_tenant": ", ".join(gone.kept_of_tenant)}
        await services.trail.note("connection.forgotten", connection=name, **facts)
    keep_days = round(services.trail.keep_ms / 86_400_000)
    _tell(terminal, held, gone, keep_days)
    if terminal.quiet:
        told = asdict(gone) | {"kept_of_tenant": list(gone.kept_of_tenant)}
        terminal.print_json({"connection": name, **told, "tenant_known": bool(held.tenants), "audit_days": keep_days})
    return 0


def _unknown(name: str) -> str:
    return (
        f"No connection of the name {name} was ever known here, so nothing was forgotten: none is configured, no job"
        " or schedule is of it, and the audit trail does not name it. See whether it is spelt so."
    )


async def _keep_hold(services: Services, name: str) -> None:
    """Raise `Refusal` where an operator's hold would go while the connection may still send."""
    from worker.ledger.gates import HoldReason

    gate = await services.gates.of(name)
    if gate.kind is HoldReason.OPERATOR:
        raise Refusal(
            f"Connection {name} is still configured and held ({gate.why}), so nothing was erased: the hold would go,"
            f" and the next list would be sent. Reopen it (usher connections reopen {name}), or take it out of the"
            f" configuration first (usher connections remove {name})."
        )


def _warn(terminal: Terminal, place: Place, held: Held) -> None:
    """Say what would bring something of it back."""
    settings = place.settings
    for schedule in held.among:
        terminal.warn(
            f"Schedule {schedule}, added at run time, names {held.name} among others: remove it (usher schedules remove"
            f" {schedule}), and add it again without."
        )
    if fed := [one.name for one in settings.schedules.values() if one.connection == held.name]:
        schedules = "Schedule" if len(fed) == 1 else "Schedules"
        names = "names" if len(fed) == 1 else "name"
        terminal.warn(
            f"{schedules} {', '.join(fed)} of the configuration {names} connection {held.name}: the next run begins a"
            " job again, so take it out first."
        )
    if held.name in settings.connections:
        terminal.warn(
            f"Connection {held.name} is still configured, and whoever was invited through it will be unknown: the next"
            f" list mails them again. Where the customer has left, take it out first (usher connections remove"
            f" {held.name})."
        )


def _tell(terminal: Terminal, held: Held, gone: Gone, keep_days: int) -> None:
    from tasks.telling.words import many

    name = held.name
    if not gone.anything:
        terminal.show(f"usher holds nothing of connection {name} (any more), besides the audit trail.")
    else:
        terminal.show(
            f"Forgotten: connection {name}, {many(gone.jobs, 'job')} with {many(gone.rows, 'row')},"
            f" {many(gone.schedules, 'schedule')}, {many(gone.tenant_keys, 'key')} of its tenant, its gates and counts."
        )
    if gone.anything and keep_days:
        without = f", {many(gone.audited, 'row')} of it now without the hash of an address" if gone.audited else ""
        terminal.show(f"The audit trail is kept for {keep_days} days as it was{without}.")
    if gone.kept_of_tenant:
        terminal.show(
            f"What belongs to its tenant (guest index, reminders, whom usher disabled) stays: {held.shared[0]} is of"
            " the same tenant."
        )
    elif gone.anything and not held.tenants:
        terminal.warn(
            f"Which tenant {name} was of is not known here, so its guest index stays until it ends by itself: say it"
            f" again with --tenant ID."
        )
