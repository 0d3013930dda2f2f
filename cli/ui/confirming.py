"""A person confirms what a command is about to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tasks.errors import Refusal

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal


class Confirmation(Protocol):
    """What is asked before rows are sent; `again` says what a yes alone was not."""

    @property
    def question(self) -> str: ...

    @property
    def again(self) -> str: ...

    def accepts(self, answer: str) -> bool: ...


def is_confirmed(terminal: Terminal, asked: Confirmation) -> bool:
    """Ask, and once more where a yes was typed and something else is wanted: a list took minutes to
    read.
    """
    answer = terminal.ask(asked.question)
    if not asked.accepts(answer) and answer.lower() in ("y", "yes"):
        answer = terminal.ask(asked.again)
    return asked.accepts(answer)


def confirm_for_good(terminal: Terminal, question: str, done: str, *, yes: bool) -> None:
    """Ask before something is `done` that nobody can undo: whoever cannot be asked says `yes`
    before. Raises `Refusal`.
    """
    if yes:
        return
    if not terminal.interactive:
        raise Refusal(f"This cannot be undone and there is nobody to ask, so nothing was {done}: say it with --yes.")
    confirm(terminal, question, done)


def confirm(terminal: Terminal, question: str, done: str) -> None:
    """Ask before something is `done` ("deleted"). Raises `Refusal` for anything but a yes."""
    if terminal.ask(f"{question} [y/N]").lower() not in ("y", "yes"):
        raise Refusal(f"Not confirmed; nothing was {done}.")
