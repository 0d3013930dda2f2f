"""`usher producers`: the programs that submit jobs. A token, and a password at the servers, is made
here, into a file of its own, and never shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.ui.command_group import CommandGroup
from cli.ui.confirming import confirm
from cli.ui.options import json_option
from cli.ui.session import Session
from tasks.errors import Refusal

if TYPE_CHECKING:
    from config.console import Producer
    from config.settings import Settings

_LAST: Final = (
    " It is the last one: programs still need a token, so nothing is taken from any until there is another (usher"
    " producers add), or somebody says that they need none (usher producers waive)."
)
_HOW_IT_STANDS: Final[Mapping[bool | None, str]] = {
    False: ": nobody is asked for a token.",
    True: (
        ", and there was one before: programs still need a token, so nothing is taken from any. usher producers waive"
        " says that they need none."
    ),
    None: ".",
}
"""By whether programs need a token; None: nobody can tell now."""


@click.group(cls=CommandGroup)
def producers() -> None:
    """The programs that submit jobs, by HTTP or by messages: each has a token, and what it may do
    (docs/producers.md).
    """


@producers.command()
@click.argument("name")
@click.option(
    "-c", "--connection", "connections", multiple=True, required=True, metavar="NAME", help="May be repeated."
)
@click.option(
    "--operation",
    "operations",
    multiple=True,
    metavar="NAME",
    help="What it may ask for besides invite, such as groups; may be repeated.",
)
@click.option("--daily-limit", type=click.IntRange(min=1), metavar="N", help="Rows a day.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where its token is written; beside the configuration unless told. Never overwritten.",
)
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def add(
    session: Session,
    name: str,
    connections: Sequence[str],
    operations: Sequence[str],
    daily_limit: int | None,
    output: Path | None,
) -> None:
    """Make a token, and write a producer into the configuration. Workers notice within seconds.

    From the first producer on, every message and every request to /v1 needs a token.
    """
    from cli.producers.handing_out import find_login, password_beside, show_way
    from cli.ui.terminal import Terminal
    from config.connections import means_several
    from config.reader import load_settings
    from config.values import parse_name
    from config.writing import append_table, file_to_write, table_text, write_private

    try:
        parse_name(name)  # before a file is called by it
    except ValueError as error:
        raise Refusal(f"The name of a producer {error}; nothing was written.") from None
    _refuse_unknown(operations)
    if several := [one for one in connections if means_several(one)]:
        raise Refusal(
            f"-c {several[0]}: a producer's connections are named one by one (-c NAME, again for each), so that no new"
            " customer is given to it unasked; nothing was written."
        )
    terminal, file, settings = Terminal(session), file_to_write(), load_settings()
    if name in settings.producers:
        raise Refusal(
            f"There is a producer {name} already; nothing was written. A second token for it is a second file in its"
            " table (docs/console-signin.md, A producer's token)."
        )
    path = output.absolute() if output else file.parent / "secrets" / f"{name}.token"
    table: dict[str, Any] = {"token": f"file:{path}", "connections": [*connections]}
    if operations:
        table["operations"] = ["invite", *(one for one in operations if one != "invite")]
    if daily_limit:
        table["daily_limit"] = daily_limit
    password_file = password_beside(path)
    login = find_login(settings, name, password_file)
    made: list[Path] = []
    try:
        made.append(write_private(path, f"{secrets.token_urlsafe(32)}\n".encode()))
        if login is not None:
            made.append(write_private(password_file, f"{login.password}\n".encode()))
        append_table(file, "producers", name, table)
    except BaseException:
        for one in made:
            one.unlink()
        raise
    terminal.show(f"Producer {name} is in {file}; its token is in {path} (0600), for it and for nobody else.")
    if not settings.producers:
        terminal.show("It is the first: from now on each message and each request to /v1 needs a token.")
    text = table_text("producers", name, table)
    show_way(terminal, name, text, login, password_file)
    if terminal.quiet:
        told: dict[str, Any] = {"producer": name, "file": str(file), "token_file": str(path), "table": text}
        if login is not None:
            told |= {"password_file": str(password_file), "redis_url": login.url, "redis_user": login.user}
            told |= {"broker_url": login.broker_url, "rabbitmq": [*login.commands]} if login.commands else {}
        terminal.print_json(told)


def _refuse_unknown(operations: Sequence[str]) -> None:
    """Raise `Refusal` for an operation that there is not."""
    from config.errors import did_you_mean
    from worker.operations.registry import OPERATIONS

    for name in operations:
        if name not in OPERATIONS:
            raise Refusal(
                f"There is no operation {name[:40]!r}{did_you_mean(name, OPERATIONS)}; nothing was written. There are:"
                f" {', '.join(OPERATIONS)}."
            )


@producers.command("list")
@json_option("One JSON object instead of a table.")
@click.pass_obj
def list_(session: Session) -> None:
    """List the producers: what each may do, how many rows of its day it has used, how many of its
    tokens open.
    """
    from cli.producers.days import find_used
    from cli.producers.need import is_needed
    from cli.ui.terminal import Terminal, build_table
    from config.reader import load_settings

    terminal, settings = Terminal(session), load_settings()
    used = find_used(terminal, settings)
    rows = [_describe(producer, used) for producer in settings.producers.values()]
    needed = True if rows else is_needed(terminal)
    for remark in _remark(settings):
        terminal.warn(remark)
    if terminal.quiet:
        terminal.print_json({"producers": rows, "token_needed": needed})
    elif not rows:
        terminal.show(f"There is no producer{_HOW_IT_STANDS[needed]} usher producers add NAME -c CONNECTION")
    else:
        headings = ("producer", "connections", "operations", "rows a day", "used today", "tokens")
        terminal.show(build_table(headings, [_show(row) for row in rows]))


@producers.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def revoke(session: Session, name: str, yes: bool) -> None:
    """Take a producer out of the configuration: its tokens open nothing from then on.

    Its jobs go on. The files with its tokens stay, to be deleted. Without the last one programs
    still need a token, so nothing is taken from any: see usher producers waive.
    """
    from cli.producers.handing_out import password_beside, tell_end
    from cli.producers.need import note_needed
    from cli.ui.terminal import Terminal
    from config.errors import did_you_mean
    from config.reader import load_settings
    from config.writing import remove_table

    terminal, settings = Terminal(session), load_settings()
    producer = settings.producers.get(name)
    if producer is None:
        raise Refusal(f"There is no producer {name}{did_you_mean(name, settings.producers)}; nothing was changed.")
    if settings.source is None:
        raise Refusal(f"Producer {name} stands in the environment, not in a file: remove it there.")
    last = _LAST if len(settings.producers) == 1 else ""
    if terminal.interactive and not yes:
        confirm(terminal, f"Take producer {name} out of {settings.source}?{last}", "changed")
    if last:
        note_needed(terminal)
    remove_table(settings.source, "producers", name)
    terminal.show(f"Producer {name} is no longer in {settings.source}.{last}")
    tokens = [Path(reference.target) for reference in producer.token if reference.kind == "file"]
    kept = [str(file) for token in tokens for file in (token, password_beside(token)) if file.exists()]
    if kept:
        terminal.show(f"Left as it is, to be deleted: {', '.join(kept)}")
    if login := tell_end(name, settings):
        terminal.show(login)
    if terminal.quiet:
        terminal.print_json({"producer": name, "file": str(settings.source), "revoked": True, "last": bool(last)})


@producers.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option("One JSON object instead of sentences.")
@click.pass_obj
def waive(session: Session, yes: bool) -> None:
    """Say that programs need no token: whoever reaches the broker may do everything from then on.

    Only where no producer is configured; they need one again once there is.
    """
    from cli.producers.need import waive as waive_now
    from cli.ui.terminal import Terminal
    from config.reader import load_settings

    terminal, settings = Terminal(session), load_settings()
    if settings.producers:
        raise Refusal(
            f"Producers are configured ({', '.join(settings.producers)}), so programs need a token. Revoke them first;"
            " nothing was changed."
        )
    if terminal.interactive and not yes:
        confirm(terminal, "Let every program send without a token, with every right?", "changed")
    waived = waive_now()
    terminal.show(
        "Programs need no token from now on: whoever reaches the broker may do everything."
        if waived
        else "Nobody was asked for a token already; nothing was changed."
    )
    if terminal.quiet:
        terminal.print_json({"token_needed": False, "waived": waived})


def _remark(settings: Settings) -> Iterator[str]:
    """Yield what the configuration takes and nothing comes of."""
    from config.errors import did_you_mean
    from worker.operations.registry import OPERATIONS

    for name, producer in settings.producers.items():
        for operation in producer.operations:
            if operation not in OPERATIONS:
                hint = did_you_mean(operation, OPERATIONS)
                yield f"producers.{name}.operations names {operation}, which is no operation{hint}."
        for host in producer.notify_hosts:
            if host not in settings.notify.hosts:
                yield f"producers.{name}.notify_hosts names {host}, which notify.hosts does not: nobody there is told."


def _describe(producer: Producer, used: Mapping[str, int]) -> dict[str, Any]:
    from worker.producers import count_tokens

    return {
        "producer": producer.name,
        "connections": [*producer.connections],
        "operations": [*producer.operations],
        "daily_limit": producer.daily_limit,
        "used_today": used.get(producer.name),
        "tokens": count_tokens(producer),
        "named": len(producer.token),
    }


def _show(row: dict[str, Any]) -> list[str]:
    limit, used = ("" if row[key] is None else f"{row[key]:,}" for key in ("daily_limit", "used_today"))
    tokens = str(row["tokens"]) if row["tokens"] == row["named"] else f"{row['tokens']} of {row['named']} open"
    return [row["producer"], ", ".join(row["connections"]), ", ".join(row["operations"]), limit, used, tokens]
