"""`usher invite`: a file, standard input or addresses become a job that is followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from cli.ui.interrupts import Interrupts
from cli.ui.options import follow_options, list_options, take_list_options
from cli.ui.session import Session
from tasks.errors import Refusal
from worker.channels import INVITE

if TYPE_CHECKING:
    from cli.follow.run import Run
    from cli.invite.request import Request
    from cli.ui.terminal import Terminal
    from tasks.lists.guest_list import GuestList
    from tasks.lists.options import ListOptions
    from tasks.rows.row import BadRow, ValidRow


@click.command()
@click.argument("source", metavar="FILE|ADDRESS…|-", nargs=-1)
@click.option(
    "-c",
    "--connection",
    metavar="NAME",
    help="The connection to invite through (usher connections list); several as A,B, tag:TAG or all.",
)
@click.option("--dry-run", is_flag=True, help="Check the list, ask the tenant, show what would happen; send nothing.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="With --dry-run: the list with what would become of each row (.csv, .xlsx, .jsonl; 0600).",
)
@click.option(
    "--pilot",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Send the first N rows, then pause and show how they ended.",
)
@click.option("--strict", is_flag=True, help="Send nothing if any row is bad.")
@click.option(
    "--accept-bad", is_flag=True, help="Send the good rows even where more than 5 % (and more than 20 rows) are bad."
)
@click.option("--resend", is_flag=True, help="Mail guests again who are in the tenant already.")
@click.option("--redirect-url", metavar="URL", help="Where guests land, for rows that bring no redirect_url.")
@click.option("--message", metavar="TEXT", help="Words for the e-mail, for rows that bring none.")
@click.option("--language", metavar="TAG", help="Language of the e-mail, such as de-DE, for rows that bring none.")
@click.option(
    "--send-message/--no-send-message", default=None, help="Whether guests get an e-mail, for rows that do not say."
)
@click.option(
    "--sponsor", multiple=True, metavar="X", help="Who answers for the guests: an address, id or name. May be repeated."
)
@click.option("--group", multiple=True, metavar="X", help="A group that all guests join: a name, id or address.")
@click.option("--team", multiple=True, metavar="X", help="A team that all guests join, likewise.")
@click.option("--notify", metavar="TARGET", help="Who is told when it is held or has ended: an https:// address.")
@click.option("--reason", metavar="TEXT", help="Why; shown with the job.")
@list_options
@follow_options
@click.pass_obj
def invite(session: Session, /, source: tuple[str, ...], **options: Any) -> int:
    """Invite the people of a CSV, Excel or JSONL file, of standard input (-), or single addresses.

    How the file is to be read is recognised; what cannot be told from it is asked. Bad rows are
    reported first and not sent; the others go. Ctrl-C pauses the job after the batch in flight.
    """
    return run_change(session, INVITE, source, options)


def run_change(session: Session, operation: str, source: tuple[str, ...], options: dict[str, Any]) -> int:
    """Do an operation to the people of a list or to single addresses, through one connection or
    several, and follow it.
    """
    from cli.follow.run import Run
    from cli.ui.place import open_place, refuse_to_leave_running
    from cli.ui.terminal import Terminal
    from tasks.errors import InputError

    terminal, interrupts = Terminal(session), Interrupts()
    given = dict.fromkeys(_OF_INVITATIONS) | dict.fromkeys(_NAMES, ()) | options
    with interrupts.caught(), ExitStack() as closing:
        # What can be refused without any server is, before one is started.
        _refuse_misfits(source, given)
        try:
            connections = choose_connections(str(given["connection"]))
            reading = take_list_options(given).through(connections)
            request = _build_request(terminal, operation, source, given, reading, closing)
            for name in connections:
                _refuse_unknown(name)
            request.connection = connections[0]
            if request.detach:
                refuse_to_leave_running()
            place = closing.enter_context(open_place())
            run = Run(session, terminal, interrupts, place)
            return asyncio.run(_invite(run, request, connections))
        except InputError as error:  # while rows are read a job does not run yet, and it goes with the error
            raise Refusal(f"{error} Nothing was sent.") from None


_OF_INVITATIONS = (
    *("output", "pilot", "strict", "accept_bad", "resend", "redirect_url", "message", "language", "send_message"),
    *("notify", "reason", "most"),
)
"""Options that not every operation has."""
_NAMES = ("sponsor", "group", "team")


async def _invite(run: Run, request: Request, connections: Sequence[str]) -> int:
    from cli.follow.run import get_ready
    from cli.invite.sending import send

    async with run.place.services() as services:
        built_in = [name for name in connections if run.place.is_built_in(name)]
        await get_ready(run, services, (built_in or connections)[0])
        if len(connections) == 1:
            return await send(run, services, request)
        from cli.invite.several import send_to_several

        return await send_to_several(run, services, request, connections)


def choose_connections(text: str) -> Sequence[str]:
    """Return the connections that are meant; a single name is looked up later, as it stands."""
    from config.connections import means_several
    from config.reader import load_settings

    return load_settings().choose(text) if means_several(text) else [text]


def _refuse_misfits(source: tuple[str, ...], given: dict[str, Any]) -> None:
    """Refuse what is missing, and what does not fit together. Raises `UsageError`."""
    if given["output"] and not given["dry_run"]:
        raise click.UsageError("-o belongs to --dry-run; for how the rows ended: usher jobs results ID -o FILE")
    if (given["output"] or "").endswith(".json"):
        raise click.UsageError(
            "A dry run is written as .csv, .xlsx or .jsonl. There are no plan files any more: a list is signed off by "
            "approval (require_approval of the connection, usher jobs approve)."
        )
    if not source:
        raise click.UsageError("Missing argument 'FILE|ADDRESS…|-'.")
    if not given["connection"]:
        raise click.UsageError(
            f"Missing option '-c' / '--connection': through which connection? {_known_connections()}"
        )


def _known_connections() -> str:
    from config.reader import load_settings

    return f"Known are: {', '.join(load_settings().connection_names)}."


def _build_request(
    terminal: Terminal,
    operation: str,
    source: tuple[str, ...],
    given: dict[str, Any],
    reading: ListOptions,
    closing: ExitStack,
) -> Request:
    from cli.invite.request import Request
    from config.version import read_version
    from tasks.rows.named import NAMED, add_named, check_named
    from tasks.rows.row import validate_defaults
    from worker.ledger.audit.account import find_person
    from worker.ledger.model import Options
    from worker.masking import mask_text

    job_wide = validate_defaults(
        {name: given[name] for name in ("redirect_url", "message", "language", "send_message")}
    )
    named = check_named({column: given[column.removesuffix("s")] for column in NAMED})
    kept = _keep_input(source, closing) if given["dry_run"] and given["output"] else None
    rows, name, guests = open_source(terminal, source, reading, closing, kept)
    info: dict[str, Any] = {**find_person().to_info(), "list": name, "usher": read_version()}
    if given["reason"]:
        info["reason"] = given["reason"]
    if given["notify"]:
        info["notify"] = _check_notify(given["notify"])
    if guests is not None and (said := guests.options.to_dict()):
        info["read"] = said
    if named:
        # What is told of a job holds no address: whoever is forgotten is searched for in rows alone
        info["named"] = {column: [mask_text(name) for name in names] for column, names in named.items()}
    return Request(
        connection=given["connection"],
        rows=add_named(rows, named) if named else rows,
        named=named,
        name=name,
        operation=operation,
        options=Options(resend=bool(given["resend"]), **job_wide),
        most=given["most"],
        info=info,
        pilot=given["pilot"] or 0,
        guests=guests,
        reopen=_open_anew(source, guests, kept) if guests is not None else None,
        output=given["output"] or "",
        wait_s=given["wait_s"],
        strict=bool(given["strict"]),
        accept_bad=bool(given["accept_bad"]),
        **{key: given[key] for key in ("dry_run", "yes", "detach")},
    )


def open_source(
    terminal: Terminal, source: tuple[str, ...], options: ListOptions, closing: ExitStack, kept: IO[bytes] | None
) -> tuple[Iterator[ValidRow | BadRow], str, GuestList | None]:
    """Return the rows, what to call them, and the list they come from, if it is one. Raises
    `UsageError`, `InputError`.
    """
    from cli.invite.opening import open_asking

    if len(source) == 1 and (source[0] == "-" or "@" not in source[0] or Path(source[0]).exists()):
        _refuse_nothing(source[0])
        guests = closing.enter_context(open_asking(terminal, source[0], options, kept))
        return guests.rows(), "standard input" if source[0] == "-" else Path(source[0]).name, guests
    for text in source:
        if "@" not in text:
            kind = "is a file" if text == "-" or Path(text).exists() else "is not an e-mail address"
            raise click.UsageError(f"{text[:60]!r} {kind}: give one file, or addresses, or - for standard input.")
    return _addresses(source), "1 address" if len(source) == 1 else f"{len(source)} addresses", None


def _keep_input(source: tuple[str, ...], closing: ExitStack) -> IO[bytes] | None:
    """Return standard input as a temporary file, where a list from there is to be written with
    something beside it.
    """
    if source != ("-",):
        return None
    import shutil
    import sys
    import tempfile

    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the list
    closing.callback(file.close)
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.seek(0)
    return file


def _open_anew(source: tuple[str, ...], guests: GuestList, kept: IO[bytes] | None) -> Callable[[], GuestList]:
    from tasks.lists.guest_list import open_list

    def reopen() -> GuestList:
        if kept is not None:
            kept.seek(0)
        return open_list(source[0], kept, guests.options)

    return reopen


def _refuse_nothing(text: str) -> None:
    """Raise `Refusal` for what is neither a file nor an address; a file that exists and cannot be
    read is the reader's to tell.
    """
    try:
        if text != "-":
            Path(text).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal(f"{text} does not exist, and is no e-mail address either (it has no @).") from None
    except (OSError, ValueError):
        return


def _addresses(source: tuple[str, ...]) -> Iterator[ValidRow | BadRow]:
    from tasks.rows.cleaning import look_again
    from tasks.rows.row import BadRow, validate_record

    for number, address in enumerate(source, 1):
        row = validate_record({"email": address}, number)
        yield look_again(row, {"email": address}, {}) if isinstance(row, BadRow) else row


def _refuse_unknown(name: str) -> None:
    """Raise `UnknownConnection` before anything is started for it."""
    from config.connections import SANDBOX
    from config.reader import load_settings

    settings = load_settings()
    if name != SANDBOX:
        settings.connection(name)
    elif not settings.embedded and SANDBOX not in settings.connections:
        import os

        from worker.stack.sandboxed import refuse_sandbox_behind

        refuse_sandbox_behind(settings.redis.url, os.environ)


def _check_notify(target: str) -> str:
    from config.notify import accept_target
    from config.reader import load_settings

    notify = load_settings().notify
    try:
        return accept_target(target, notify.hosts, signed=bool(notify.secret))
    except ValueError as error:
        raise click.UsageError(f"--notify {error}.") from None
