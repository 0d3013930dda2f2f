"""Lines of a plan, a guest each, are shown many at a time. They wait in a file without a name, so
that those of one tenant stand together and memory is flat in the number of guests.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal

_SHOWN_TOGETHER = 200
_WRITTEN = 1 << 18  # bytes in memory before they go to the disk


class Lines:
    """Lines that are shown later, or never."""

    def __init__(self) -> None:
        # `show` closes it; what is never shown ends with the process
        self._file = tempfile.SpooledTemporaryFile(_WRITTEN, "w+", encoding="utf-8", errors="replace")  # noqa: SIM115

    def put(self, line: str) -> None:
        """Take a line."""
        self._file.write(line.replace("\n", " ") + "\n")

    def show(self, terminal: Terminal, ahead: str = "") -> None:
        """Show them, each behind what is said of all of them, and let go of them."""
        self._file.seek(0)
        show_lines(terminal, (ahead + line.rstrip("\n") for line in self._file))
        self._file.close()


def show_lines(terminal: Terminal, lines: Iterable[str]) -> None:
    """Show lines, many at a time."""
    from rich.text import Text

    left = iter(lines)
    while part := list(islice(left, _SHOWN_TOGETHER)):
        terminal.show(Text("\n".join(part)))
