"""A command opens a list: what the list leaves open is asked where somebody is there to answer, and
refused everywhere else.
"""

from __future__ import annotations

from cli.ui.terminal import Terminal
from tasks.errors import Refusal
from tasks.lists.ambiguities import Ambiguity
from tasks.lists.encodings import ByteSource
from tasks.lists.guest_list import GuestList, open_list
from tasks.lists.options import ListOptions


def open_asking(terminal: Terminal, path: str, options: ListOptions, stdin: ByteSource | None = None) -> GuestList:
    """Open a list, asking until it can be read in one way only. Raises `InputError`, or `Refusal`
    where no answer was one.
    """
    while True:
        try:
            return open_list(path, stdin, options)
        except Ambiguity as open_question:
            # Standard input is the list then, and cannot be read twice.
            if not terminal.interactive or path == "-" or not open_question.choices:
                raise
            options = _ask(terminal, open_question)


def _ask(terminal: Terminal, open_question: Ambiguity) -> ListOptions:
    terminal.warn(open_question.question)
    choices = open_question.choices
    for number, choice in enumerate(choices, 1):
        terminal.tell(f"  {number}  {choice.label}")
    answer = terminal.ask(f"1 to {len(choices)}, or nothing to stop:" if len(choices) > 1 else "1, or nothing to stop:")
    if not answer.isdecimal() or not 1 <= int(answer) <= len(choices):
        raise Refusal("Not answered; nothing was sent.")
    return choices[int(answer) - 1].options
