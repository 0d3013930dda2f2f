"""Draw docs/img/demo.svg: what `make demo` shows on a terminal, as it was shown. Run with the
project's Python after `make setup`.
"""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMAND = ("invite", "examples/guests.csv", "--connection", "sandbox", "--yes")
WIDTH = 112


def main() -> None:
    """Run the demo in a terminal of its own and draw what it left on the screen."""
    shown = _settle(_run())
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ usher {' '.join(COMMAND)}\n{shown}"))
    svg = console.export_svg(title="make demo")
    (HERE / "demo.svg").write_text(
        re.sub(r"@font-face \{[^}]*\}\s*", "", svg), encoding="utf-8"
    )  # no fonts from elsewhere


def _run() -> str:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        usher = str(Path(sys.executable).parent / "usher")
        environment = {**os.environ, "COLUMNS": str(WIDTH), "LINES": "60", "TERM": "xterm-256color"}
        os.execve(usher, [usher, *COMMAND], environment)  # noqa: S606 - no shell is wanted
    text = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not data:
            break
        text += data
    os.waitpid(pid, 0)
    return text.decode(errors="replace")


def _settle(text: str) -> str:
    """Return what stays on the screen: a line that was drawn again (the progress bar) is kept as it
    was last.
    """
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        last = re.split(r"\r|\x1b\[2K", line)[-1]
        ups = len(re.findall(r"\x1b\[1A", line))
        del lines[len(lines) - min(ups, len(lines)) :]
        lines.append(re.sub(r"\x1b\[\?25[lh]|\x1b\[1A", "", last))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
