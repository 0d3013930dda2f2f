"""Bad rows are told before anything of a list is sent."""

from __future__ import annotations

from cli.invite.request import Request
from cli.ui.terminal import Terminal, build_facts
from tasks.submission.refusing import SHOWN_BAD, MisreadList, refuse_bad
from tasks.submit import Loaded
from tasks.telling.words import number


def report_bad(terminal: Terminal, request: Request, loaded: Loaded) -> None:
    """Report what is wrong with the list. Raises `Refusal` where nothing is sent for that."""
    for warning in request.guests.warnings if request.guests else ():
        terminal.warn(warning)
    for row in loaded.bad[:SHOWN_BAD]:
        terminal.warn(f"{row}.")
    if loaded.bad_count > SHOWN_BAD:
        terminal.warn(f"{number(loaded.bad_count - SHOWN_BAD)} more bad rows; the results hold all of them.")
    try:
        refuse_bad(request, loaded)
    except MisreadList:
        # How the list was read is shown to those who have to find out what is wrong with it
        if lines := request.describe_reading(with_sample=terminal.live):
            terminal.say(build_facts(lines))
        raise
