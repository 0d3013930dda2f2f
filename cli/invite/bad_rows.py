"""Bad rows are told before anything of a list is sent; when they are too many, nothing of it
goes.
"""

from __future__ import annotations

from cli.invite.request import Request
from cli.ui.errors import Refusal
from cli.ui.terminal import Terminal, build_facts
from cli.ui.words import many, number
from tasks.submit import Loaded

_SHOWN_BAD = 20
MOST_BAD_SHARE = 0.05
"""More bad rows than this stop a list: so many typing errors nobody makes, the column or the
separator is wrong. Not where they are few enough to be shown one by one (`_SHOWN_BAD`): in a small
list two errors are 10 %, and whoever reads them knows what they are.
"""


def report_bad(terminal: Terminal, request: Request, loaded: Loaded) -> None:
    """Report what is wrong with the list. Raises `Refusal` where that means that nothing is
    sent.
    """
    for warning in request.guests.warnings if request.guests else ():
        terminal.warn(warning)
    for row in loaded.bad[:_SHOWN_BAD]:
        terminal.warn(f"{row}.")
    if loaded.bad_count > _SHOWN_BAD:
        terminal.warn(f"{number(loaded.bad_count - _SHOWN_BAD)} more bad rows; the results hold all of them.")
    if not loaded.rows:
        raise Refusal(f"{request.name} holds no rows; nothing was sent.")
    if request.strict and loaded.bad_count:
        raise Refusal(f"{many(loaded.bad_count, 'row')} cannot be sent, and --strict was given; nothing was sent.")
    if request.strict and request.guests is not None and not request.guests.is_whole:
        raise Refusal("Cells of the list cannot be used (above), and --strict was given; nothing was sent.")
    if not loaded.to_send:
        _show_reading(terminal, request)
        raise Refusal(_nothing_good(loaded))
    if _too_many_bad(request, loaded):
        _show_reading(terminal, request)
        share = f"{100 * loaded.bad_count / loaded.rows:.0f} %"
        raise Refusal(
            f"{number(loaded.bad_count)} of {many(loaded.rows, 'row')} cannot be sent, {share}. More than"
            f" {100 * MOST_BAD_SHARE:.0f} % is nearly always a wrong column or separator (--map and --delimiter say"
            " which), so nothing was sent; --accept-bad sends the good rows all the same."
        )


def _too_many_bad(request: Request, loaded: Loaded) -> bool:
    # In results that are fed back the columns are right, and the bad rows are those that were bad
    # before.
    if request.accept_bad or (request.guests is not None and request.guests.is_result):
        return False
    return loaded.bad_count > _SHOWN_BAD and loaded.bad_count > MOST_BAD_SHARE * loaded.rows


def _nothing_good(loaded: Loaded) -> str:
    parts = []
    if loaded.bad_count:
        parts.append(f"{number(loaded.bad_count)} invalid")
    if loaded.blocked:
        parts.append(f"{number(loaded.blocked)} of domains that the connection does not allow")
    if loaded.duplicates:
        parts.append(f"{number(loaded.duplicates)} repeated")
    return f"None of {many(loaded.rows, 'row')} can be sent ({', '.join(parts)}); nothing was sent."


def _show_reading(terminal: Terminal, request: Request) -> None:
    """Show how the list was read, to those who have to find out what is wrong with it."""
    if lines := request.describe_reading(with_sample=terminal.live):
        terminal.say(build_facts(lines))
