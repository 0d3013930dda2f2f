"""`usher connections add-app`: the application that several tenants share. Its table, its
certificate and the list of its tenants are begun in one go.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.connections.credential import Answers, ask, make_own_certificate
from cli.connections.rehearsing import READY, read_ready_file
from cli.ui.options import json_option
from cli.ui.session import Session
from config.clouds import CLOUDS
from config.values import is_guid, parse_name
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal

LIST = "tenants.csv"
"""Where the tenants are listed when the configuration names no list."""


@click.command("add-app")
@click.argument("name")
@click.option("--client-id", metavar="ID", help="The Application (client) ID.")
@click.option("--cloud", type=click.Choice(tuple(CLOUDS)), help="The cloud that it is registered in; else the global.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long the certificate is good."
)
@click.option(
    "--sandbox",
    "ready_file",
    metavar="FILE",
    help="A rehearsal: the ready file of a running `usher sandbox --ready-file FILE --tenants 3 --shared-app`.",
)
@json_option("One JSON object about what was written; nothing is asked.")
@click.pass_obj
def add_app(session: Session, /, name: str, **given: Any) -> int:
    """Add an application that several tenants share: write [apps.NAME], make a certificate to
    upload, and begin the list of its tenants (connections_file) where there is none.

    Another credential, such as a managed identity's, is written by hand: docs/providers.md.
    """
    from cli.ui.terminal import Terminal

    terminal, answers = Terminal(session), Answers(name)
    try:
        parse_name(name)
    except ValueError as error:
        raise Refusal(f"{name[:64]!r} cannot be an application's name: it {error}. Nothing was written.") from None
    if given["ready_file"]:
        told = read_ready_file(given["ready_file"], {**READY, "authority": "url"})
        answers.table |= {"client_id": given["client_id"], **told} if given["client_id"] else told
    else:
        question = "Application (client) ID:"
        answers.table["client_id"] = ask(terminal, given["client_id"], "--client-id", question, _check_client)
    if given["cloud"]:
        answers.table["cloud"] = given["cloud"]
    file, tenants = _write(answers, given["days"])
    _tell(terminal, answers, file, tenants)
    return 0


def _check_client(text: str) -> str:
    text = text.strip()
    if not is_guid(text):
        raise ValueError("An Application (client) ID looks like 11111111-2222-3333-4444-555555555555.")
    return text.lower()


def _write(answers: Answers, days: int) -> tuple[Path, Path]:
    """Write table, certificate and list, or nothing. Returns the configuration and the list."""
    from config.listing import begun_list
    from config.reader import find_list, load_settings
    from config.writing import append_table, file_to_write, put_first

    file = file_to_write()
    named = find_list(path=file) if file.exists() else find_list()
    tenants = named or file.parent / LIST
    try:
        with begun_list(tenants):
            if file.exists() and answers.name in load_settings(path=file).apps:
                raise Refusal(f"{file} has an [apps.{answers.name}] already; nothing was written.")
            make_own_certificate(answers, days, file.parent)
            append_table(file, "apps", answers.name, answers.table)
            if named is None:
                put_first(file, "connections_file", LIST)
    except BaseException:
        for path in answers.made:
            with suppress(OSError):
                path.unlink()
        raise
    return file, tenants


def _tell(terminal: Terminal, answers: Answers, file: Path, tenants: Path) -> None:
    name, certificate = answers.name, answers.certificate
    assert certificate is not None
    terminal.show(
        f"Application {name} is written into {file}; its tenants go into {tenants}.",
        f"Its certificate is good until {certificate.ends_at:%Y-%m-%d}; the private key stays in {answers.made[0]}.",
        "",
        "Next:",
        f"  1. Upload {answers.upload} to the app registration:",
        "     Certificates & secrets, Certificates, Upload certificate.",
        f"     Entra then shows the thumbprint {certificate.thumbprint}.",
        f"  2. For each tenant: usher connections add TENANT --app {name} --tenant DOMAIN --tag TAG --wait 15m",
    )
    if terminal.quiet:
        terminal.print_json(
            {
                "app": name,
                "file": str(file),
                "connections_file": str(tenants),
                "client_id": answers.table["client_id"],
                "upload": str(answers.upload),
                "thumbprint": certificate.thumbprint,
                "ends_at": certificate.ends_at.isoformat(),
            }
        )
