"""The terminal is the one place that prints and asks. Results go to stdout, everything said on the
way to stderr.

With --json stdout carries one object and stderr only what somebody has to know. A terminal that has
gone away is written to no more.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.safe_text import clean, is_terminal, open_stdout, to_json
from tasks.telling.words import OUTCOME_WORDS

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

    from cli.ui.session import Session

_WIDE = 200  # columns where nobody looks: a log or a file breaks no line
_COUNT_EVERY_S = 0.2
_BEHIND = ("stages", "plan", "plans", "ceilings", "unasked", "jobs")  # what --json tells behind the counts
COLOURS = {
    "invited": "green",
    "already_guest": "cyan",
    "done": "green",
    "already": "cyan",
    "skipped": "dim",
    "failed": "red",
    "in_doubt": "yellow",
    "pending": "blue",
    "cancelled": "dim",
}
"""The colour of each outcome, wherever it is shown."""


class Terminal:
    """How one run talks."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.quiet = session.wants_json
        self.interactive = not self.quiet and is_terminal(sys.stdin) and is_terminal(sys.stderr)
        """Whether somebody is there to be asked."""
        self.live = not self.quiet and is_terminal(sys.stderr)
        """Whether something may move on stderr."""
        self._gone = False
        self._counted_s = time.monotonic()
        self._err: Console | None = None

    @property
    def err(self) -> Console:
        """stderr as rich writes it."""
        if self._err is None:
            self._err = open_console(stderr=True)
        return self._err

    def say(self, text: RenderableType = "") -> None:
        """Say something on the way; nothing with --json."""
        if not self.quiet:
            self._to_stderr(text)

    def tell(self, sentence: str) -> None:
        """Say something that is needed with --json too."""
        from rich.text import Text

        self._to_stderr(Text(clean(sentence)))

    def warn(self, sentence: str, command: str = "") -> None:
        """Say what somebody has to know, with --json too; a command to type has its own line."""
        from rich.text import Text

        self._to_stderr(Text.assemble(("! ", "yellow"), clean(sentence)))
        if command:
            self._to_stderr(Text(f"    {clean(command)}", style="bold"))

    def problem(self, sentence: str) -> None:
        """Say why the command ends."""
        from rich.text import Text

        self._to_stderr(Text.assemble(("usher: ", "bold red"), clean(sentence, keep_lines=True)))

    def show(self, *results: RenderableType) -> None:
        """Show what the command was asked for; nothing with --json."""
        if self.quiet:
            return
        console = open_console()
        for result in results:
            sys.stdout.write(_render(console, result))
        sys.stdout.flush()

    def show_line(self, line: str) -> None:
        """Show a line that is to be copied: in one piece, however narrow the terminal is."""
        if not self.quiet:
            sys.stdout.write(f"{clean(line)}\n")
            sys.stdout.flush()

    def finish(self, told: Mapping[str, Any]) -> None:
        """End with a job as the one object that --json promises; several add up in it."""
        if self.session.goes_on:
            self.session.before.append(told)
        elif self.session.wants_json:
            said: dict[str, Any] = {**told, **self.session.told}
            if jobs := [*self.session.before, told] if self.session.before else []:
                counted = [name for name in ("rows", *OUTCOME_WORDS) if name in told]
                said |= {name: sum(job.get(name, 0) for job in jobs) for name in counted} | {"jobs": jobs}
            names = ("submission", "job", "connection", "operation", "state", "rows", *OUTCOME_WORDS)
            kept = {name: said[name] for name in names if name in said}
            extra: dict[str, Any] = {name: said[name] for name in _BEHIND if name in said}
            self.print_json({**kept, "elapsed_s": round(self.session.elapsed_s, 3), **extra})

    def print_json(self, value: Mapping[str, Any]) -> None:
        """Print one object on one line of stdout."""
        open_stdout().write(to_json(value) + "\n")
        sys.stdout.flush()

    def ask(self, question: str) -> str:
        """Ask and return the answer, '' where nobody answers."""
        from rich.text import Text

        self._to_stderr(Text(clean(question) + " ", style="bold"), end="")
        try:
            answer = sys.stdin.readline()
        except (OSError, ValueError):
            answer = ""
        if not answer.endswith("\n"):
            self._to_stderr("")
        return answer.strip()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Show nothing of what is typed within the block, nor of what was pasted too early."""
        import termios

        try:
            shown = termios.tcgetattr(sys.stdin)
        except (termios.error, OSError, ValueError):
            yield
            return
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, [*shown[:3], shown[3] & ~termios.ECHO, *shown[4:]])
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, shown)

    def status(self, text: str) -> None:
        """Show a line that the next one overwrites; '' takes it away. Only where it may move."""
        if self.live and not self._gone:
            try:
                sys.stderr.write(f"\r\x1b[K{clean(text)}")
                sys.stderr.flush()
            except (OSError, ValueError):
                self._gone = True

    def count(self, text: str) -> None:
        """Show such a line while something is counted, a few times a second at most."""
        if self.live and (now_s := time.monotonic()) - self._counted_s >= _COUNT_EVERY_S:
            self._counted_s = now_s
            self.status(text)

    def _to_stderr(self, text: RenderableType, end: str = "\n") -> None:
        if self._gone:
            return
        try:
            sys.stderr.write(_render(self.err, text, end=end))
            sys.stderr.flush()
        except (OSError, ValueError):  # it was closed, or its terminal is gone: the job matters more
            self._gone = True


def open_console(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr; one that is no terminal breaks no lines."""
    from rich.console import Console

    file = sys.stderr if stderr else sys.stdout
    width = None if is_terminal(file) or os.environ.get("COLUMNS", "").isdigit() else _WIDE
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def _render(console: Console, text: RenderableType, end: str = "\n") -> str:
    """Return what the console would print, without the blanks that tables end their lines with."""
    from rich.table import Table

    with console.capture() as captured:
        console.print(_Cleaned(text), end=end, soft_wrap=not console.is_terminal and not isinstance(text, Table))
    written = captured.get()
    if isinstance(text, Table):
        written = "\n".join(line.rstrip() for line in written.split("\n"))
    return written


class _Cleaned:
    """Whatever is shown, without what a terminal would obey: the one gate for everything that
    forgot to be cleaned.
    """

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        inner = console.render_str(self._inner) if isinstance(self._inner, str) else self._inner
        for segment in console.render(inner, options):
            text, style, control = segment
            yield segment if control else Segment(clean(text, keep_lines=True), style)


def build_table(
    headings: Sequence[str], rows: Iterable[Sequence[str | RenderableType]], right: Iterable[str] = ()
) -> Table:
    """Return a calm table: no lines, headings dim, the columns named in `right` right-aligned."""
    from rich.text import Text

    from cli.ui.tables import CalmTable

    table = CalmTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def build_facts(facts: Iterable[tuple[str | RenderableType, str | RenderableType]]) -> Table:
    """Return a table of two columns, no headings: what something is about, dim, and what is so."""
    from rich.text import Text

    table = build_table(
        ("", ""), [(Text(name, style="dim") if isinstance(name, str) else name, fact) for name, fact in facts]
    )
    table.show_header = False
    return table


def build_mark(*, ok: bool, optional: bool, warns: bool = False) -> Text:
    """Return the mark before what a check found: good, bad, or neither (a dash, or `!`)."""
    from rich.text import Text

    if not ok:
        return Text("✗", style="bold red")
    if warns:
        return Text("!", style="yellow")
    return Text("–", style="dim") if optional else Text("✓", style="green")
