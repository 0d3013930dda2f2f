"""A schedule is fired by hand as the beat fires it."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import Refusal
from worker.ledger.audit.account import find_person
from worker.ledger.timetable import TASK, run_of


def fire_now(name: str, due_ms: int, connections: Sequence[str] = ("",)) -> None:
    """Send a schedule's firing, of one over several connections that of each."""
    from kombu.exceptions import OperationalError

    from worker.app import app

    by = find_person().name
    try:
        for connection in connections:
            app.send_task(
                TASK,
                kwargs={"name": name, "due_ms": due_ms, "by": by} | ({"connection": connection} if connection else {}),
                ignore_result=True,
                argsrepr=f"(schedule {run_of(name, connection)}, by hand)",
                kwargsrepr="{}",
            )
    except OperationalError as error:
        raise Refusal(f"The broker cannot be reached ({type(error).__name__}); nothing was started.") from None
