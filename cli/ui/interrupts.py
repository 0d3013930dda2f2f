"""Ctrl-C, SIGTERM and a lost terminal end a command at once before rows are accepted; afterwards
they ask it to pause its job.

Plain signal handlers rather than the event loop's: a list that is being read, or a question that
waits for its answer, blocks the loop and must be interruptible all the same.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "the end of its terminal"}


class Interrupted(KeyboardInterrupt):
    """The command is to end at once."""


class Interrupts:
    """The signals of one command. Until `patiently` is entered each raises `Interrupted` wherever
    the main thread is.
    """

    def __init__(self) -> None:
        self.by = ""
        """What asked the command to end, in words; empty: nothing did."""
        self._asked: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = False

    @contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Catch the signals for as long as the block lasts, but not what `nohup` ignores. From the
        main thread. Where one of them ended the block they are ignored from then on: a sentence is
        still to be said.
        """
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS if not _is_nohup(number)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if self._ending else handler)

    @contextmanager
    def patiently(self) -> Iterator[asyncio.Event]:
        """Within the block the first signal sets the event; only a second one raises."""
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        try:
            yield self._asked
        finally:
            self._asked = None

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        again = bool(self.by)
        self.by = _NAMES[signal.Signals(number)]
        if self._asked is None or self._loop is None or (again and number != signal.SIGHUP):
            self._end(number)
            return
        self._loop.call_soon_threadsafe(self._asked.set)

    def _end(self, number: int) -> None:
        """Raise. Once the command is ending only Ctrl-C cuts that short: `timeout` sends its signal
        twice, to the process and to its group, and what is under way has to be put back.
        """
        if self._ending and number != signal.SIGINT:
            return
        if self._ending:
            _say_nothing_of_what_is_cut()
        self._ending = True
        raise Interrupted


def _say_nothing_of_what_is_cut() -> None:
    """Keep Python from telling of tasks that did not end: a person wants to leave, and knows."""
    logging.getLogger("asyncio").disabled = True
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("ignore")


def _is_nohup(number: signal.Signals) -> bool:
    """Whether the command was started so that it outlives its terminal."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
