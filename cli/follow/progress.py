"""A job on the way is drawn on stderr: a bar with counts, rate and time left on a terminal, a line
every few seconds elsewhere.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Self

from cli.follow.when_to_stop import Follower
from cli.ui.terminal import COLOURS, Terminal
from tasks.messages.views import describe_job
from tasks.safe_text import clean
from tasks.telling.stages import stage_progress
from tasks.telling.waiting import Limits, left_s, waiting_words
from tasks.telling.words import OUTCOME_WORDS, many, number, outcomes, span, utc_now
from worker.ledger.job_view import JobView
from worker.ledger.model import JobState

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

_LINE_EVERY_S = 5.0
_BAR_WIDTH = 40
_LONG_S = 10.0


class Progress(AbstractContextManager["Progress"]):
    """Draws one job. `note` is what waits or is wrong, in words; it is said once as a line, and
    stays below the bar.

    `limits`: what limits the job and its stages, where that is known.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.limits: Limits = {}
        self._live: Live | None = None
        self._said_at_s = 0.0
        self._said = ""
        self._note = ""

    def __enter__(self) -> Self:
        if self._terminal.live:
            from rich.live import Live

            self._live = Live(
                console=self._terminal.err,
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            try:
                self._live.start()
            except OSError:
                self._live = None
        return self

    def __exit__(self, *_: object) -> None:
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError):  # the terminal is gone
                live.stop()

    def draw(self, view: JobView, follower: Follower, now_s: float, note: str = "") -> None:
        """Show the job as it stands. A note that is new is said at once."""
        words = note or waiting_words(view)
        if self._live is not None:
            try:
                self._live.update(_picture(view, follower, self.limits, words), refresh=True)
            except OSError:
                self._live = None
            return
        if view.ended:
            return
        if not note and view.state is JobState.RUNNING and not _is_closed_long(view):
            words = ""  # to be slowed down for a moment is the usual way of things
        # Where time only counts down, the sentence is the same.
        head = words.partition(" Next try in")[0]
        if head != self._note:
            self._note = head
            if words:
                self._terminal.warn(words)
        if now_s - self._said_at_s >= _LINE_EVERY_S:
            line = progress_line(view, follower.rate, self.limits)
            if line != self._said:
                self._said, self._said_at_s = line, now_s
                self._terminal.say(line)

    def say(self, sentence: str) -> None:
        """Say something that stays."""
        self._terminal.warn(sentence)


def _is_closed_long(view: JobView) -> bool:
    until = view.gate.closed_until
    return until is not None and (until - utc_now()).total_seconds() >= _LONG_S


def progress_line(view: JobView, rate: float, limits: Limits | None = None) -> str:
    """A job as one line of a log: "k7m2…: 412 of 1,000 rows (398 invited, 4 failed), 19 a second,
    31 s left".
    """
    counts = describe_job(view)
    ended = {name: counts[name] for name in OUTCOME_WORDS if name in counts and name not in ("pending", "cancelled")}
    parts = [f"{view.id}: {number(view.counts.finished)} of {many(view.counts.rows, 'row')}"]
    if told := outcomes(ended):
        parts[0] += f" ({told})"
    parts += stage_progress(view)
    if rate >= 0.05:
        parts.append(f"{rate:.0f} a second" if rate >= 1 else f"{rate * 60:.0f} a minute")
    if (seconds := left_s(view, rate, limits)) is not None and seconds >= 1:
        parts.append(f"{span(seconds)} left")
    return ", ".join(parts)


def _picture(view: JobView, follower: Follower, limits: Limits, note: str) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=max(view.counts.rows, 1), completed=view.counts.finished, width=_BAR_WIDTH)
    cells: list[ProgressBar | Text] = [bar, Text(f"{number(view.counts.finished)} of {number(view.counts.rows)}")]
    rate = follower.rate
    if rate >= 0.05 and view.state is JobState.RUNNING:
        cells.append(Text(f"{rate:.0f}/s" if rate >= 1 else f"{rate * 60:.0f}/min", style="dim"))
    if (seconds := left_s(view, rate, limits)) is not None and seconds >= 1:
        cells.append(Text(f"{span(seconds)} left", style="dim"))
    line.add_row(*cells)
    lines: list[Table | Text] = [line, count_words(view)]
    if view.stages:
        lines.append(Text(" · ".join(stage_progress(view)), style="dim"))
    if note:
        lines.append(Text(clean(note), style="yellow"))
    return Group(*lines)


def count_words(view: JobView) -> Text:
    """The counts that are not zero, each in its colour."""
    from rich.text import Text

    counts = describe_job(view)
    text = Text()
    for name, word in OUTCOME_WORDS.items():
        if counts.get(name) and name != "pending":
            text.append(" · " if text else "", style="dim")
            text.append(f"{number(counts[name])} {word}", style=COLOURS[name])
    return text or Text("waiting for the first answers", style="dim")
