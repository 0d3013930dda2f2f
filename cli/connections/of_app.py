"""`usher connections add NAME --app APP`: one more tenant of an application that several share. Its
line or table is written, and its administrator gets a link.

Whether consent was given is found out by asking for a token, and by nothing that a browser brings
back: anybody can make a link that says so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli.ui.session import Session
from tasks.errors import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from cli.connections.credential import Answers
    from cli.ui.terminal import Terminal
    from config.apps import App
    from config.connections import Connection
    from config.settings import Settings

_NOT_WITH_APP = {
    "client_id": "--client-id",
    "makes_certificate": "--certificate",
    "certificate_file": "--certificate-file",
    "secret_file": "--secret-file",
    "secret_env": "--secret-env",
    "managed_identity": "--managed-identity",
    "client_assertion": "--client-assertion",
    "ready_file": "--sandbox",
    "authority": "--authority",
    "graph_url": "--graph-url",
    "ca_file": "--ca-file",
}
"""What the application says for all its tenants."""
_NOT_CONSENTED = frozenset({"AADSTS700016", "AADSTS65001", "AADSTS7000229", "AADSTS500011"})
"""Entra's answers while an application is not, or not yet, in a tenant."""
_ASK_EVERY_S = 5.0


def refuse_options(given: dict[str, Any], *, quiet: bool) -> None:
    """Raise `UsageError` for an option beside `--app` that is the application's own affair, and for
    `--wait` without it, or where nobody would see the link meanwhile.
    """
    if given["app"]:
        for name, option in _NOT_WITH_APP.items():
            if given[name]:
                how = f"usher connections add-app {given['app']} --sandbox FILE writes it, once"
                told = how if name == "ready_file" else f"it stands under [apps.{given['app']}]"
                raise click.UsageError(f"{option} is the application's: {told}")
    elif given["wait_s"] is not None:
        raise click.UsageError("--wait belongs to --app")
    elif given["features"] is not None:
        raise click.UsageError("--for belongs to --app; else it is said to usher connections consent")
    if quiet and given["wait_s"] is not None:
        raise click.UsageError("--wait shows the link first: with --json leave it out, and ask usher connections check")


def find_app(file: Path, name: str) -> tuple[Settings, App]:
    """Return the settings, and an application of theirs. Raises `Refusal`, ConfigError."""
    from config.errors import did_you_mean
    from config.reader import load_settings

    settings = load_settings(path=file) if file.exists() else load_settings()
    app = settings.apps.get(name)
    if app is None:
        raise Refusal(
            f"There is no [apps.{name[:64]}] in {file}{did_you_mean(name[:64], settings.apps)}; nothing was written."
            " usher connections add-app writes one."
        )
    return settings, app


def where_of(app: App) -> dict[str, Any]:
    """Return what tells where the application's tenants are looked up. Pure."""
    found = {name: getattr(app, name) for name in ("cloud", "authority", "graph_url", "ca_file")}
    return {name: value for name, value in found.items() if value}


def write_tenant(terminal: Terminal, session: Session, file: Path, answers: Answers, given: dict[str, Any]) -> int:
    """Write the connection, print what its administrator needs, and wait for the consent where
    asked to. Returns the exit status: that of the check after it, where there was one.
    """
    from cli.connections.consenting import check_command
    from config.reader import load_settings
    from tasks.checks.permissions import USUAL
    from worker.errors import TokenRefused

    settings, app = find_app(file, given["app"])
    cells: dict[str, Any] = {"tenant_id": answers.table["tenant_id"], "app": app.name}
    if given["tags"]:
        cells["tags"] = list(given["tags"])
    if (cloud := answers.table.get("cloud")) and cloud != app.cloud:
        cells["cloud"] = cloud
    if app.managed_identity:
        terminal.warn(
            f"Application {app.name} signs in as a managed identity, which reaches the identity's own tenant alone."
            f' For customers\' tenants let [apps.{app.name}] have client_assertion = "managed_identity:CLIENT_ID".'
        )
    written = _write(settings, file, answers.name, cells)
    found = load_settings(path=file)
    connection = found.connection(answers.name)
    for sentence in found.tell_twins([connection.name]):
        terminal.warn(sentence)
    features = given["features"] or USUAL
    empty = _empty_columns(load_settings(path=file), answers.name)
    _tell(terminal, connection, written, features, empty)
    check = check_command(connection.name, features)
    if given["wait_s"] is None:
        terminal.show("", f"For you: once consent was given, see whether it works: {check}")
        return 0
    terminal.say(f"Waiting for the consent of tenant {connection.tenant_id} …")
    try:
        consented = asyncio.run(_wait(connection, given["wait_s"]))
    except TokenRefused as error:
        raise Refusal(
            f"{error} So nobody can say whether consent was given. Connection {answers.name} is written; once that is"
            f" mended, see whether it works: {check}"
        ) from None
    if not consented:
        raise Refusal(
            f"Nobody has consented to the application in tenant {connection.tenant_id} yet. Connection"
            f" {answers.name} is written; see later whether it works: {check}"
        )
    terminal.say("Consent was given: Entra gives a token for this tenant.")
    return _check(session, answers.name, given["features"] or ())


def _write(settings: Settings, file: Path, name: str, cells: dict[str, Any]) -> Path:
    if settings.listed:
        from config.listing import append_line

        line = {key: ";".join(value) if isinstance(value, list) else value for key, value in cells.items()}
        return append_line(settings, name, line)
    from config.writing import append_table

    append_table(file, "connections", name, cells)
    return file


def _empty_columns(settings: Settings, name: str) -> list[str]:
    """Return the columns of the list in which a connection has nothing: settings that others may
    have, and that it may have had before.
    """
    from config.listing import find_line

    if settings.listed is None:
        return []
    return [column for column, cell in find_line(settings, name)[0].items() if not cell and column != "tags"]


def _tell(
    terminal: Terminal, connection: Connection, written: Path, features: tuple[str, ...], empty: list[str]
) -> None:
    from cli.connections.consenting import consent_url, show_framed, ticket_text
    from tasks.checks.permissions import needs_of

    text = ticket_text(connection, needs_of(features))
    terminal.show(f"Connection {connection.name} is written into {written}.")
    if empty:
        terminal.show(f"Empty in its line: {', '.join(empty)}. If the customer is to have one of these, fill it in.")
    terminal.show("")
    show_framed(terminal, "For the customer", text)
    if terminal.quiet:
        terminal.print_json(
            {
                "connection": connection.name,
                "file": str(written),
                "tenant_id": connection.tenant_id,
                "client_id": connection.client_id,
                "app": connection.app,
                "empty": empty,
                "url": consent_url(connection),
                "ticket": text,
            }
        )


async def _wait(connection: Connection, wait_s: float) -> bool:
    """Ask for a token until there is one. Whether there was, in time. Raises `TokenRefused` for any
    refusal but a missing consent.
    """
    from worker.errors import TokenRefused, TokenUnavailable
    from worker.signin.tokens import TokenSource

    loop, tokens = asyncio.get_running_loop(), TokenSource()
    until_s = loop.time() + wait_s
    try:
        while True:
            try:
                await tokens.get(connection, fresh=True)
            except TokenRefused as error:
                if error.code not in _NOT_CONSENTED:
                    raise
            except TokenUnavailable:
                pass  # not reached just now; consent takes longer
            else:
                return True
            left_s = until_s - loop.time()
            if left_s <= 0:
                return False
            await asyncio.sleep(min(_ASK_EVERY_S, left_s))
    finally:
        await tokens.close()


def _check(session: Session, name: str, features: tuple[str, ...]) -> int:
    from cli.connections.checking import check_names
    from cli.ui.working import work_on_rows

    return work_on_rows(
        session, lambda terminal, place, services: check_names(terminal, place, services, name, features), sealed=True
    )
