"""`usher users create`: one member of the tenant, with a password that is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.ui.confirming import confirm
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_ledger
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services

_OPTIONS = ("first_name", "last_name", "company", "department", "job_title", "usage_location")


@click.command()
@click.argument("upn", metavar="UPN")
@click.option("-c", "--connection", required=True, metavar="NAME", help="The tenant, as a connection names it.")
@click.option("--name", required=True, metavar="TEXT", help="What the user is called.")
@click.option("--first-name", metavar="TEXT")
@click.option("--last-name", metavar="TEXT")
@click.option("--company", metavar="TEXT")
@click.option("--department", metavar="TEXT")
@click.option("--job-title", metavar="TEXT")
@click.option("--usage-location", metavar="XX", help="The two letters of a country, such as NO.")
@click.option("--disabled", is_flag=True, help="The user may not sign in yet.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option("One JSON object with the user and the password, on stdout.")
@click.pass_obj
def create(session: Session, /, upn: str, connection: str, **given: Any) -> int:
    """Create a member of the tenant, who signs in as UPN (ada@contoso.com).

    The password is made here, shown once, and kept nowhere; whoever signs in with it has to choose
    another. Guests are not created but invited (usher invite).
    """
    wanted = upn.strip()
    if "@" not in wanted:
        raise Refusal("Give a user principal name, such as ada@contoso.com.")
    more = _check({column: given[column] for column in _OPTIONS})
    name = _check({"display_name": given["name"]})["display_name"]
    return work_on_ledger(
        session,
        lambda terminal, place, services: _create(
            terminal, place, services, connection, wanted, name, more, enabled=not given["disabled"], yes=given["yes"]
        ),
        sealed=True,
    )


def _check(given: dict[str, str | None]) -> dict[str, str]:
    """Return what was given, as a list's columns are checked. Raises `InputError`."""
    from tasks.rows.row import validate_defaults

    return {name: str(value) for name, value in validate_defaults(given).items()}


async def _create(
    terminal: Terminal,
    place: Place,
    services: Services,
    connection_name: str,
    upn: str,
    name: str,
    more: dict[str, str],
    *,
    enabled: bool,
    yes: bool,
) -> int:
    from cli.ui.terminal import build_facts
    from worker.directory.creating import CreatedOrNot, create_user
    from worker.graph.new_users import build_user, make_password
    from worker.operations.profile import PROPERTIES

    place.need_sandbox(connection_name)
    connection = await services.resolved(connection_name)
    if connection.require_approval:
        raise Refusal(
            f"Connection {connection.name} asks for a second person's approval (require_approval), and nobody could"
            " approve this: nobody was created. Another connection of the tenant may."
        )
    if terminal.interactive and not yes and not place.is_built_in(connection_name):
        confirm(terminal, f"Create {upn} in {connection.name}?", "created")
    password = make_password()
    properties = {PROPERTIES[column]: value for column, value in more.items()}
    user_id, doubt = "", ""
    try:
        user_id = await create_user(services, connection, build_user(upn, name, password, properties, enabled=enabled))
        await services.trail.note("user.created", connection=connection.name, object_id=user_id)
    except CreatedOrNot as error:
        doubt = str(error)
        terminal.warn(doubt)
    user = {"id": user_id or None, "upn": upn, "display_name": name, "enabled": enabled}
    if terminal.quiet:
        terminal.print_json({"user": user, "password": password, **({"error": doubt} if doubt else {})})
    else:
        told = [("id", user_id or "-"), ("upn", upn), ("display_name", name), ("password", password)]
        terminal.show(build_facts(told))
        terminal.say("This password is shown this once, and kept nowhere. It has to be changed at the first sign-in.")
    return 1 if doubt else 0
