"""`usher jobs verify`: looking up every row that is still to be sent, above all after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.telling.words import many, number

if TYPE_CHECKING:
    from cli.ui.terminal import Terminal
    from worker.sending.verifier import Verification, Verified
    from worker.services import Services

_FOUND = {
    "invited": ("invited since the backup",) * 2,
    "already_guest": ("guest of before", "guests of before"),
    "done": ("done since the backup",) * 2,
    "already": ("so already",) * 2,
    "failed": ("cannot be guests",) * 2,
    "in_doubt": ("left in doubt for a person",) * 2,
}
"""What is said of rows that were found, by what programs read of them: of one, of several."""


async def verify(terminal: Terminal, services: Services) -> int:
    """Verify, and say what came of it. Status 3 where rows could not be looked up."""
    from worker.sending.verifier import verify as verify_all

    done = await verify_all(services)
    _show(terminal, done)
    if terminal.quiet:
        terminal.print_json({"restored": done.restored, "connections": [_told(one) for one in done.connections]})
    return 0 if all(one.complete for one in done.connections) else 3


def _show(terminal: Terminal, done: Verification) -> None:
    with_rows = [one for one in done.connections if one.rows or one.in_doubt or one.obstacles]
    if not with_rows:
        terminal.show("No row is open: there is nothing to look up.")
    for one in with_rows:
        parts = [
            *(many(one.ended[status], *words) for status, words in _FOUND.items() if one.ended[status]),
            f"{number(one.absent)} not there, to be sent" if one.absent else "",
            f"{number(one.in_doubt)} on the way or in doubt, which workers look up" if one.in_doubt else "",
        ]
        looked = "; ".join(part for part in parts if part) or "none could be looked up"
        terminal.show(f"{one.connection}: {many(one.rows, 'open row')} of {many(len(one.jobs), 'job')}: {looked}.")
        for why, rows in one.obstacles.items():
            terminal.warn(
                f"{one.connection}: {many(rows, 'row') + ' not looked up' if rows else 'not verified'}: {why}."
            )
    for one in done.connections:
        if one.held:
            terminal.warn(
                f"{one.connection} stays held. To send what is left all the same:",
                f"usher connections reopen {one.connection}",
            )
    if done.restored:
        terminal.show(
            "The hold on everything is lifted."
            if not any(one.held for one in done.connections)
            else "The others go on."
        )
    if done.operator_holds:
        terminal.show("Everything is still held by whoever runs usher: usher connections reopen --all")


def _told(one: Verified) -> dict[str, Any]:
    return {
        "connection": one.connection,
        "rows": one.rows,
        "jobs": len(one.jobs),
        **dict.fromkeys(("invited", "already_guest", "failed"), 0),
        **{"left_in_doubt" if status == "in_doubt" else status: rows for status, rows in one.ended.items()},
        "pending": one.absent,
        "in_doubt": one.in_doubt,
        "not_looked_up": dict(one.obstacles),
        "held": one.held,
    }
