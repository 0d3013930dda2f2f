"""A person confirms what a command is about to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.ui.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal


def confirm(terminal: Terminal, question: str, done: str) -> None:
    """Ask before something is `done` ("deleted"). Raises `Refusal` for anything but a yes."""
    if terminal.ask(f"{question} [y/N]").lower() not in ("y", "yes"):
        raise Refusal(f"Not confirmed; nothing was {done}.")
