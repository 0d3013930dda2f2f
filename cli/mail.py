"""`usher mail`: what usher's own mails say, and whether they arrive."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from cli.ui.command_group import CommandGroup
from cli.ui.options import json_option
from cli.ui.session import Session
from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from config.connections import Connection
    from tasks.checks.own_mail import Preview
    from worker.services import Services


class Language(click.ParamType[str]):
    """A language tag, such as de or pt-BR."""

    name = "language"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the tag."""
        from tasks.rows.languages import parse_language

        tag = parse_language(str(value))
        if tag is None:
            self.fail(f"{value!r} is no language tag such as de or pt-BR.", param, ctx)
        return tag


_connection = click.option("-c", "--connection", required=True, metavar="NAME", help="Through which connection.")
_language = click.option("--language", type=Language(), metavar="TAG", help="Such as de; else the row's own.")


@click.group(cls=CommandGroup)
def mail() -> None:
    """Show what usher's own mails say, or send one to see whether it arrives."""


@mail.command()
@click.argument("source", metavar="FILE|ADDRESS")
@_connection
@_language
@click.option(
    "-o", "--output", metavar="FILE", help="Write it there instead: .html, .txt, or .eml with headers and both parts."
)
@json_option("One JSON object instead of the text.")
@click.pass_obj
def preview(session: Session, source: str, connection: str, language: str | None, output: str | None) -> int:
    """Show the invitation that a guest would get: that of a list's first good row, or of an
    address. The link in it is a sample. Nothing is sent.
    """
    from cli.ui.terminal import Terminal
    from config.reader import load_settings
    from tasks.checks import own_mail
    from worker.services import find_connection

    terminal, settings = Terminal(session), load_settings()
    used = find_connection(settings, connection)
    if not own_mail.is_ready(settings, used):
        raise Refusal(
            f"Nobody knows who mails of {connection} would be from: set `from` in [smtp], or `mailbox` of the"
            " connection."
        )
    row = _first_row(terminal, source)
    if not used.mails_itself:
        terminal.warn(
            f"usher sends no mail for {connection}: its `deliver` is {used.deliver}. This is what it would be."
        )
    shown = own_mail.preview(settings, used, row, language or "")
    if output:
        _save(output, shown)
        terminal.tell(f"Written to {output}.")
    if session.wants_json:
        terminal.print_json(_describe(shown))
    elif not output:
        for line in _lines(shown):
            terminal.show(line)
    return 0


@mail.command()
@click.argument("address")
@_connection
@_language
@json_option("One JSON object instead of a sentence.")
@click.pass_obj
def test(session: Session, address: str, connection: str, language: str | None) -> int:
    """Mail an address as if it were a guest's: template, mail server or mailbox, and sender are
    tried for real. Nobody is invited. Status 1 if it was not taken.
    """
    from cli.ui.working import work_on_ledger
    from tasks.rows.row import BadRow, validate_record

    row = validate_record({"email": address}, 1)
    if isinstance(row, BadRow):
        raise Refusal(f"{address[:60]!r} is no e-mail address.")

    async def work(terminal: Terminal, place: Place, services: Services) -> int:
        return await _test(terminal, services, connection, str(row.row["email"]), language or "")

    return work_on_ledger(session, work, sealed=True)


async def _test(terminal: Terminal, services: Services, name: str, address: str, language: str) -> int:
    from tasks.checks.own_mail import send_test
    from worker.graph.causes import Kind

    connection: Connection = services.connection(name)
    if not connection.mails_itself:
        raise Refusal(
            f"usher sends no mail for {name}: its `deliver` is {connection.deliver}. Set it to smtp or mailbox first."
        )
    verdict = await send_test(services, connection, address, language)
    is_sent = verdict.kind is Kind.DONE
    where = f"the mailbox {connection.mailbox}" if connection.deliver == "mailbox" else "the mail server"
    said = f"Taken by {where}. Whether it arrives, and not as spam, its inbox shows." if is_sent else verdict.message
    if is_sent:
        terminal.show(said)
    else:
        terminal.warn(said)
    if terminal.quiet:
        terminal.print_json({"sent": is_sent, "code": "" if is_sent else verdict.code, "message": said})
    return 0 if is_sent else 1


def _first_row(terminal: Terminal, source: str) -> dict[str, Any]:
    """Return the first good row of a list, or that of an address. Raises `Refusal`."""
    from cli.invite.opening import open_asking
    from tasks.lists.options import ListOptions
    from tasks.rows.row import BadRow, validate_record

    if "@" in source and not Path(source).exists():
        row = validate_record({"email": source}, 1)
        if isinstance(row, BadRow):
            raise Refusal(f"{source[:60]!r} is no e-mail address.")
        return dict(row.row)
    with open_asking(terminal, source, ListOptions()) as guests:
        for row in guests.rows():
            if not isinstance(row, BadRow):
                return dict(row.row)
    raise Refusal(f"{source} has no good row.")


def _lines(shown: Preview) -> list[str]:
    mail = shown.mail
    heads = (
        *(("From", mail.sender), ("Reply-To", mail.reply_to), ("To", f"{mail.to_name} <{mail.to}>".strip())),
        *(("Cc", mail.cc), ("Subject", mail.words.subject), ("Template", mail.words.template)),
    )
    return [*(f"{name}: {value}" for name, value in heads if value), "", *mail.words.text.rstrip("\n").split("\n")]


def _describe(shown: Preview) -> dict[str, Any]:
    mail = shown.mail
    return {
        "from": mail.sender,
        "reply_to": mail.reply_to,
        "to": mail.to,
        "cc": mail.cc,
        "template": mail.words.template,
        "subject": mail.words.subject,
        "text": mail.words.text,
        "html": mail.words.html,
    }


def _save(path: str, shown: Preview) -> None:
    """Write what the file's ending asks for. Raises `Refusal`."""
    from tasks.results.files import save_whole

    words = shown.mail.words
    kinds = {".html": words.html.encode(), ".txt": words.text.encode(), ".eml": shown.content}
    ending = Path(path).suffix.lower()
    if ending not in kinds:
        raise Refusal("A mail is written as .html, .txt or .eml.")
    if not kinds[ending]:
        raise Refusal(f"The template {words.template} has no HTML part: write .txt or .eml.")

    def write(stream: IO[bytes]) -> int:
        return stream.write(kinds[ending])

    save_whole(path, write)
