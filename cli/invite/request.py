"""A request of a command also says how the command is to behave."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.submission.request import Request as Asked


@dataclass(slots=True)
class Request(Asked):
    """Rows to send, and what the command was asked to do about them."""

    dry_run: bool = False
    yes: bool = False
    detach: bool = False
    wait_s: float | None = None
    output: str = ""  # of a dry run: where the list goes
