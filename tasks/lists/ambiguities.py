"""A list may leave open what nobody may guess: a question where somebody is there to answer it, a
refusal everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.errors import InputError
from tasks.lists.options import ListOptions


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: what it is called, and how the list is read then."""

    label: str
    options: ListOptions


class Ambiguity(InputError):
    """The list can be read in more than one way. `str()` is the refusal and names the option that
    decides; `question` asks.
    """

    def __init__(self, refusal: str, question: str, choices: tuple[Choice, ...]) -> None:
        super().__init__(refusal)
        self.question = question
        self.choices = choices
