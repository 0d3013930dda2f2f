"""`usher connections consent`: what to send to whoever may consent. A link, each permission with
its reason, hosts and ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.connections.allowing_identity import commands_for
from cli.ui.options import json_option
from cli.ui.session import Session
from config.connections import means_several
from tasks.checks.permissions import FEATURES, STEPS, USUAL, Need, needs_of, read_features

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from config.connections import Connection


_LINE = "-" * 80


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
@click.argument("name", metavar="NAME|tag:TAG|all")
@features_option("What usher is to do in this tenant.", ",".join(USUAL))
@json_option("One JSON object instead of the text.")
@click.pass_obj
def consent(session: Session, name: str, features: tuple[str, ...]) -> int:
    """Print the link and the text of a ticket for the administrator who consents; of several
    connections one for each. Nothing is called, no secret is read.
    """
    from cli.ui.terminal import Terminal
    from config.reader import load_settings
    from worker.services import find_connection

    terminal, settings, needs = Terminal(session), load_settings(), needs_of(features)
    if not means_several(name):
        connection = find_connection(settings, name)
        if terminal.quiet:
            terminal.print_json(_describe(connection, needs))
        show_lines(terminal, ticket_text(connection, needs, features))
        if connection.app:
            terminal.say(f"\nFor you, afterwards: {check_command(name, features)}")
        return 0
    chosen = [find_connection(settings, one) for one in settings.choose(name)]
    if terminal.quiet:
        terminal.print_json({"connections": [_describe(one, needs) for one in chosen]})
    for one in chosen:
        show_framed(terminal, one.name, ticket_text(one, needs, features))
        terminal.show("")
    terminal.show(f"For you, afterwards: {check_command(name, features)}")
    return 0


def check_command(wanted: str, features: tuple[str, ...]) -> str:
    """Return the command that shows whether what was asked for is there. Pure."""
    return f"usher connections check {wanted}" + (f" --for {','.join(features)}" if features != USUAL else "")


def show_framed(terminal: Terminal, whose: str, text: str) -> None:
    """Show a ticket between two lines, so that it is seen what may be copied."""
    show_lines(terminal, f"{whose}, from line to line:\n\n{_LINE}\n{text}\n{_LINE}")


def show_lines(terminal: Terminal, text: str) -> None:
    """Show each line in one piece: the link is to be copied, and a mail breaks lines by itself."""
    for line in text.split("\n"):
        terminal.show_line(line)


def _describe(connection: Connection, needs: list[Need]) -> dict[str, Any]:
    commands = commands_for(connection, (need.permission for need in needs))
    return {
        "connection": connection.name,
        "url": None if connection.managed_identity else consent_url(connection),
        "commands": commands if connection.managed_identity else [],
        "permissions": [{"permission": need.permission, "reason": need.reason} for need in needs],
        "later": [{"for": step, "permission": need.permission} for step, need in list_later(needs).items()],
        "hosts": [f"{host}:{port}" for host, port in hosts_of(connection)],
    }


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
            "see that it asks for no *application* permissions of Microsoft Graph but these, and consent. If it asks",
            "for others, do not consent, and ask your service provider.",
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


def ticket_text(connection: Connection, needs: list[Need], features: tuple[str, ...] = USUAL) -> str:
    """Return the whole ticket; one for the customer of a provider has nothing that is the
    provider's affair. `features`: what `--for` named. Pure.
    """
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
        lines += [f"  {need.permission}", f"      {need.reason}."]
        if not connection.app:
            lines.append(f"      Without it: {need.without}.")
    if not connection.app and (later := list_later(needs)):
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
    ]
    if connection.app:
        return "\n".join([*lines, "Please tell your service provider when you have consented."])
    lines += [
        "New permissions take some minutes to work.",
        "",
        "The machines it runs on open connections to these hosts, and nobody opens any to them:",
        "",
    ]
    lines += [f"  {host}, TCP port {port}, HTTPS" for host, port in hosts_of(connection)]
    lines += ["", f"Afterwards this shows what is still missing: {check_command(connection.name, features)}"]
    return "\n".join(lines)
