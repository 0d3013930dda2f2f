"""The dispatcher has two tasks: run an offered chunk, look up rows in doubt. Their messages hold
names and numbers, never a row.
"""

from __future__ import annotations

from typing import Any

from worker.app import app
from worker.ledger.model import Lane, Ticket
from worker.logs import bound
from worker.process.runtime import runtime


@app.task(name="usher.run_chunk", bind=True, acks_late=False)
def run_chunk(self: Any, /, job: str, chunk: int, connection: str, *, fence: int, lane: str) -> dict[str, Any]:
    """Run a chunk as far as it goes, and what is offered of its job next. Delivered late or twice
    it does nothing: the fence is spent.
    """
    try:
        with bound(task_id=self.request.id):
            ticket = Ticket(job, chunk, fence, connection, Lane(lane))
            return runtime.run(runtime.parts.runner.run(ticket, runtime.next_of))
    finally:
        runtime.wake()


@app.task(name="usher.settle", bind=True, acks_late=False)
def settle(self: Any, /, job: str, chunk: int, connection: str, *, fence: int, lane: str) -> dict[str, Any]:
    """Look up a connection's rows in doubt that are due."""
    try:
        with bound(task_id=self.request.id):
            return runtime.run(runtime.parts.settler.run(Ticket(job, chunk, fence, connection, Lane(lane))))
    finally:
        runtime.wake()
