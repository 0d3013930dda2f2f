"""`usher connections consent`: what to send to whoever may consent. A link, each permission with
its reason, hosts and ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.connections.allowing_identity import commands_for
from cli.ui.options import json_option
from cli.ui.session import Session
from tasks.checks.permissions import FEATURES, STEPS, USUAL, Need, needs_of, read_features

if TYPE_CHECKING:
    from config.connections import Connection


class Features(click.ParamType[tuple[str, ...]]):
    """What usher is to be allowed, as `--for` names it."""

    name = "features"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names."""
        if isinstance(value, tuple):
            return value
        try:
            return read_features(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def features_option(what: str, default: str | None = None) -> Any:
    """`--for`."""
    return click.option(
        "--for", "features", type=Features(), metavar="WHAT,…", default=default, show_default=default is not None,
        help=f"{what} Of {', '.join(FEATURES)}.",
    )  # fmt: skip


@click.command("consent")
@click.argument("name")
@features_option("What usher is to do in this tenant.", ",".join(USUAL))
@json_option("One JSON object instead of the text.")
@click.pass_obj
def consent(session: Session, name: str, features: tuple[str, ...]) -> int:
    """Print the link and the text of a ticket for the administrator who consents. Nothing is
    called, no secret is read.
    """
    from cli.ui.terminal import Terminal
    from config.reader import load_settings
    from worker.services import find_connection

    terminal = Terminal(session)
    connection = find_connection(load_settings(), name)
    needs = needs_of(features)
    if terminal.quiet:
        commands = commands_for(connection, (need.permission for need in needs))
        terminal.print_json(
            {
                "connection": name,
                "url": None if connection.managed_identity else consent_url(connection),
                "commands": commands if connection.managed_identity else [],
                "permissions": [{"permission": need.permission, "reason": need.reason} for need in needs],
                "later": [{"for": step, "permission": need.permission} for step, need in list_later(needs).items()],
                "hosts": [f"{host}:{port}" for host, port in hosts_of(connection)],
            }
        )
    else:
        terminal.show(ticket_text(connection, needs, ",".join(features) if features != USUAL else ""))
    return 0


def consent_url(connection: Connection) -> str:
    """Return the page on which an administrator consents to what the application's registration
    asks for. Pure.

    https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
    """
    return f"https://{connection.login_host}/{connection.tenant_id}/adminconsent?client_id={connection.client_id}"


def hosts_of(connection: Connection) -> list[tuple[str, str]]:
    """Return (host, port) of everything that usher calls for a connection. Pure."""
    found = []
    for host in dict.fromkeys((connection.login_host, connection.graph_host)):
        name, colon, port = host.rpartition(":")
        found.append((name, port) if colon and port.isdigit() else (host, "443"))
    return found


def list_later(needs: list[Need]) -> dict[str, Need]:
    """Return the steps, with the least permission of each, that what is asked for does not
    cover. Pure.
    """
    asked = frozenset(need.permission for need in needs)
    return {step: need for step, need in STEPS.items() if not need.is_met(asked)}


def _asked_of(connection: Connection) -> tuple[str, ...]:
    """Return what the administrator is asked to do, in lines: an application that tenants share is
    registered elsewhere.
    """
    if connection.managed_identity:
        return (
            "The application is the managed identity of what usher runs on. It has no app registration, and the portal",
            "has no page for its permissions: please give it these *application* permissions of Microsoft Graph by the",
            "commands below:",
        )
    if connection.app:
        return (
            "The application is registered with your service provider, so you register nothing: open the link below,",
            "see that it asks for no *application* permissions of Microsoft Graph but these, and consent:",
        )
    first = (
        "Please add these *application* permissions of Microsoft Graph to the application (App registrations, the"
        " application,"
    )
    return first, "API permissions, Add a permission, Microsoft Graph, Application permissions), then consent:"


def _how_to_consent(connection: Connection, needs: list[Need]) -> list[str]:
    """Return the link, or for a managed identity the commands, in lines."""
    if connection.managed_identity:
        commands = commands_for(connection, (need.permission for need in needs))
        return ["In PowerShell, with the module Microsoft.Graph:", "", *(f"  {command}" for command in commands)]
    when = "Consent" if connection.app else "Consent, after the permissions were added"
    sentence = f"{when} (the page ends with a complaint about a missing reply address; the consent is given):"
    return [sentence, "", f"  {consent_url(connection)}"]


def ticket_text(connection: Connection, needs: list[Need], wanted: str = "") -> str:
    """Return the whole ticket. `wanted`: what `--for` named. Pure."""
    tenant = connection.tenant_id
    lines = [
        "Subject: Consent to an application that invites guests",
        "",
        (
            "To whoever may consent to application permissions of Microsoft Graph (Privileged Role Administrator or"
            " Global Administrator):"
        ),
        "",
        f"  Tenant        {tenant}",
        f"  Application   {connection.client_id}",
        "",
        *_asked_of(connection),
        "",
    ]
    for need in needs:
        lines += [f"  {need.permission}", f"      {need.reason}.", f"      Without it: {need.without}."]
    if later := list_later(needs):
        lines += ["", "Not asked for here. Each is needed only where lists ask for that step after the invitation:", ""]
        lines += [f"  {need.permission:<40}{need.reason} (--for {step})" for step, need in later.items()]
    lines += [
        "",
        *_how_to_consent(connection, needs),
        "",
        (
            "The application signs in by itself, with a credential of its own, and acts for nobody. It needs no"
            " directory role."
        ),
        "New permissions take some minutes to work.",
        "",
        "The machines it runs on open connections to these hosts, and nobody opens any to them:",
        "",
    ]
    lines += [f"  {host}, TCP port {port}, HTTPS" for host, port in hosts_of(connection)]
    check = f"usher connections check {connection.name}" + (f" --for {wanted}" if wanted else "")
    lines += ["", f"Afterwards this shows what is still missing: {check}"]
    return "\n".join(lines)
