"""`usher key`: the ledger's key, which redeem links and shared tokens are sealed with."""

from __future__ import annotations

from pathlib import Path

import click

from cli.ui.command_group import CommandGroup
from cli.ui.session import Session
from tasks.errors import Refusal


@click.group(cls=CommandGroup)
def key() -> None:
    """Make keys for the ledger ([ledger].key)."""


@key.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it to this file, for its owner alone (0600). A file that is there is never overwritten.",
)
@click.pass_obj
def new(session: Session, output: Path | None) -> None:
    """Make a new, random key for the ledger.

    Without -o it goes to stdout. It is kept nowhere else: without it no redeem link in the ledger
    opens any more.
    """
    from worker.ledger_key import make_key_text, write_key

    if output is None:
        click.echo(make_key_text())
        return
    try:
        write_key(output)
    except FileExistsError:
        raise Refusal(
            f"{output} is there already and is not overwritten: what is sealed with its key opens with nothing else."
            " Name another file."
        ) from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Refusal(f"The key cannot be written to {output} ({why}): name a file in a folder of yours.") from None
    click.echo(
        f'A new key is in {output}. In the configuration: [ledger] key = "file:{output.absolute()}". Keep a copy apart'
        " from the backups.",
        err=True,
    )
