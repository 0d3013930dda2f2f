"""Errors are what can be wrong with a file as a whole; a wrong row is a value
(`tasks.rows.row.BadRow`), never an exception.

- `ListError`
  - `InputError`: the list cannot be read; nothing has been sent, exit status 2
  - `OutputError`: the results cannot be written where they were wanted
- `Refusal`: what was asked for cannot be done, or not as jobs and guests stand now
  - `JobExists`: there is a job of an id that was to be new
"""

from __future__ import annotations


class ListError(Exception):
    """A file as a whole cannot be used; `str()` is one sentence for the person who named it."""


class InputError(ListError):
    """The list cannot be read as a list of guests."""


class OutputError(ListError):
    """The results cannot be written to the file that was asked for."""


class Refusal(Exception):
    """What was asked for cannot be done, or somebody said no: a sentence. Nothing was sent."""


class JobExists(Refusal):
    """There is a job of an id that was to be new."""

    def __init__(self) -> None:
        super().__init__("A job of this id exists already; nothing was done. Try again.")
