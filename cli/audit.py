"""`usher audit`: who did what, to which of Microsoft's objects; no address, but its keyed hash."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from cli.ui.command_group import CommandGroup
from cli.ui.options import json_option
from cli.ui.session import Session
from cli.ui.working import work_on_rows
from config.values import is_guid
from tasks.errors import Refusal
from tasks.safe_text import open_stdout, to_json

if TYPE_CHECKING:
    from cli.ui.place import Place
    from cli.ui.terminal import Terminal
    from worker.services import Services


class Moment(click.ParamType[datetime]):
    """A date, a time, or how long ago: 2026-11-01, 2026-11-01T14:00, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return an instant; one without a zone is of this machine's clock."""
        if isinstance(value, datetime):
            return value
        from config.values import parse_seconds

        try:
            return datetime.now(UTC) - timedelta(seconds=parse_seconds(str(value)))
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(str(value)).astimezone()
        except ValueError:
            self.fail(f"{value!r} is neither a date such as 2026-11-01 nor a length of time such as 7d", param, ctx)


def _known(context: click.Context, _: click.Parameter, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a word that no entry can be of: it would find nothing, as if nothing had happened."""
    from config.errors import did_you_mean, quoted
    from worker.ledger.audit.trail import KINDS

    for kind in kinds:
        if kind not in KINDS:
            raise Refusal(
                f"There is no kind of entry {quoted(kind)}{did_you_mean(kind, KINDS)}; there are: {', '.join(KINDS)}."
            )
    return kinds


_TABLES = (".csv", ".tsv", ".xlsx", ".xlsm", ".xls", ".ods")
"""Names that would be opened as what an export is not."""


@dataclass(frozen=True, slots=True)
class _Selection:
    """What is to be shown."""

    since: datetime | None
    until: datetime | None
    connection: str | None
    job: str | None
    what: tuple[str, ...]
    guest: str | None
    rows: bool


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--since",
            type=Moment(),
            metavar="TIME",
            help="From then on: 2026-11-01, 2026-11-01T14:00, or 7d for a week ago.",
        ),
        click.option("--until", type=Moment(), metavar="TIME", help="Up to then."),
        click.option("-c", "--connection", metavar="NAME", help="Only of this connection."),
        click.option("--job", metavar="ID", help="Only of this job, whole id; it may have been deleted."),
        click.option(
            "--what",
            multiple=True,
            metavar="KIND",
            callback=_known,
            help="Only such entries: job.submitted, connection.held, row … May be given twice.",
        ),
        click.option("--guest", metavar="EMAIL|ID", help="Only rows of this person, by address or object id."),
    ):
        command = option(command)
    return command


@click.group(cls=CommandGroup)
def audit() -> None:
    """Show or export who did what: submissions, approvals, holds, deletions, and what became of
    each guest.
    """


@audit.command("list")
@click.option("-n", "--newest", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many.")
@click.option("--rows", is_flag=True, help="What was done to each guest too.")
@_filters
@json_option("One JSON object instead of a table.")
@click.pass_obj
def list_(session: Session, /, newest: int, rows: bool, **filters: Any) -> int:
    """List the newest entries, oldest first."""

    async def work(terminal: Terminal, services: Services) -> int:
        wanted = _Selection(**filters, rows=rows or bool(filters["guest"]) or "row" in filters["what"])
        found = [line async for line in _entries(services, wanted)]
        chosen = sorted(found, key=lambda line: str(line["at"]))[-newest:]
        if terminal.quiet:
            terminal.print_json({"entries": chosen})
        else:
            _show(terminal, chosen)
        return 0

    return _run(session, work, filters["guest"])


@audit.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this new file (0600) instead of stdout.",
)
@click.option("--events-only", is_flag=True, help="Leave out what was done to each guest.")
@_filters
@click.pass_obj
def export(session: Session, /, output: Path | None, events_only: bool, **filters: Any) -> int:
    """Write entries as JSON lines, events in their order, then rows; each begins with its time, so
    that `sort` puts all in order.
    """
    if output and output.suffix.lower() in _TABLES:
        raise Refusal(
            f"An export is JSON lines, no table, so nothing was written to {output}: name it"
            f" {output.with_suffix('.jsonl')}"
        )

    async def work(terminal: Terminal, services: Services) -> int:
        from tasks.telling.words import many

        wanted, count = _Selection(**filters, rows=not events_only), 0
        with ExitStack() as closing:
            out = closing.enter_context(_create(output)) if output else open_stdout()
            async for line in _entries(services, wanted):
                out.write(to_json(line) + "\n")
                count += 1
        if output:
            terminal.tell(f"{many(count, 'entry', 'entries')} written to {output}.")
        return 0

    return _run(session, work, filters["guest"])


def _create(path: Path) -> TextIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        raise Refusal(f"{path} exists already and is not overwritten.") from None
    except OSError as error:
        raise Refusal(f"{path} cannot be written: {error.strerror or error}.") from None


def _run(session: Session, work: Callable[[Terminal, Services], Awaitable[int]], guest: str | None) -> int:
    async def run(terminal: Terminal, _: Place, services: Services) -> int:
        if not services.trail.keep_ms:
            terminal.warn("No audit trail is kept here ([ledger].audit_keep is 0); what follows was kept before.")
        return await work(terminal, services)

    return work_on_rows(session, run, sealed=guest is not None)


async def _entries(services: Services, wanted: _Selection) -> AsyncIterator[dict[str, Any]]:
    """Yield the entries that are wanted: events, then rows."""
    from worker.ledger.audit.trail import event_line, row_lines

    if wanted.guest is None:
        async for event in services.trail.events(wanted.since, wanted.until):
            line = event_line(event)
            if _is_wanted(line, wanted):
                yield line
    if not wanted.rows:
        return
    is_theirs = await _guest_filter(services, wanted.guest)
    async for job, rows in services.trail.rows(wanted.job or ""):
        for line in row_lines(job, rows):
            if _is_wanted(line, wanted) and is_theirs(line) and _in_time(line, wanted):
                yield line


def _is_wanted(line: dict[str, Any], wanted: _Selection) -> bool:
    return (
        (wanted.connection is None or line.get("connection") == wanted.connection)
        and (wanted.job is None or line.get("job") == wanted.job)
        and (not wanted.what or line["what"] in wanted.what)
    )


def _in_time(line: dict[str, Any], wanted: _Selection) -> bool:
    at = datetime.fromisoformat(line["at"])
    return (wanted.since is None or at >= wanted.since) and (wanted.until is None or at <= wanted.until)


async def _guest_filter(services: Services, guest: str | None) -> Callable[[dict[str, Any]], bool]:
    if guest is None:
        return lambda line: True
    if is_guid(guest.strip()):
        wanted = guest.strip().lower()
        return lambda line: bool(line["object_id"] == wanted)
    from worker.people.forget import hashes_everywhere

    hashes = {hash_.hex() for hash_ in await hashes_everywhere(services, guest)}
    return lambda line: line["guest"] in hashes


def _show(terminal: Terminal, lines: list[dict[str, Any]]) -> None:
    from cli.ui.terminal import build_table
    from tasks.telling.words import moment

    if not lines:
        terminal.show("No entries.")
        return
    rows = []
    for line in lines:
        told = {
            name: value
            for name, value in line.items()
            if name not in ("at", "what", "by", "job", "connection", "guest")
        }
        facts = ", ".join(f"{name} {_plain(value)}" for name, value in told.items() if value not in ("", None))
        at = moment(datetime.fromisoformat(line["at"]))
        rows.append(
            [
                at,
                str(line["what"]),
                str(line.get("by", "")),
                str(line.get("connection", "")).replace("+", ": "),  # of a stage or another operation
                str(line.get("job", "")),
                facts,
            ]
        )
    terminal.show(build_table(("When", "What", "By", "Connection", "Job", ""), rows))


def _plain(value: Any) -> str:
    return to_json(value) if isinstance(value, dict | list) else str(value)
