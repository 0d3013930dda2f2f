"""A tally is shown: what would become of rows, to whoever makes a dry run or approves the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cli.ui.terminal import build_table
from tasks.forecast.dry_run import SHOWN_DOMAINS
from tasks.rows.domain_slips import DomainNote
from tasks.safe_text import clean
from tasks.telling.words import many, number
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from tasks.forecast.tally import Tally

_SHOWN_SLIPS: Final = 20


def show(terminal: Terminal, tally: Tally, gaps: Sequence[str] = ()) -> None:
    """Show what would become of the rows, their domains, and what could not be looked at: the
    tally's gaps, and `gaps` in words.
    """
    from rich.text import Text

    terminal.show("", build_table(("Would", "Rows", "Why"), tally.lines(), right=("Rows",)))
    show_domains(terminal, tally.notes)
    never = OPERATIONS[tally.operation].never_known
    not_checked = [*map(str, tally.gaps), *gaps, *([never] if never else [])]
    if not_checked:
        terminal.show("", Text("Not checked", style="dim"), *(f"  {clean(sentence)}" for sentence in not_checked))


def show_domains(terminal: Terminal, notes: list[DomainNote]) -> None:
    """Show the domains with most rows, and those that look like a slip of the pen."""
    shown = [note for i, note in enumerate(notes) if i < SHOWN_DOMAINS or note.looks_like][
        : SHOWN_DOMAINS + _SHOWN_SLIPS
    ]
    if shown:
        table = build_table(("Domain", "Rows", ""), [_domain_line(note) for note in shown], right=("Rows",))
        terminal.show("", table)
    if len(notes) > len(shown):
        terminal.show(f"{number(len(notes) - len(shown))} more domains")
    private = sum(note.rows for note in notes if note.private)
    if private:
        terminal.show(
            "", f"{many(private, 'row')} at private mail providers: people there leave no trace of whom they work for."
        )


def _domain_line(note: DomainNote) -> tuple[str, str, str]:
    what = f"did they mean {note.looks_like}?" if note.looks_like else "private mail provider" if note.private else ""
    return note.domain, number(note.rows), what
