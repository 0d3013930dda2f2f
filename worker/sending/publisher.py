"""A worker sends its dispatcher's offers through Celery."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

from worker.ledger.model import Lane, Ticket
from worker.queues import BULK, NOW


class Publisher:
    """A publisher sends through one app's broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send_offers(self, offers: Sequence[tuple[Ticket, int]]) -> None:
        """Send one message an offer, given as (ticket, chunks of its job).

        Each describes itself for Flower: job, chunk n of m, connection; never a row. Blocks, and
        raises whatever the broker's client raises.
        """
        with self._app.producer_or_acquire() as producer:
            for ticket, chunks in offers:
                if ticket.lane is Lane.DOUBT:
                    name, queue = "usher.settle", NOW
                    shown = f"(rows in doubt, {ticket.connection})"
                else:
                    name, queue = "usher.run_chunk", NOW if ticket.lane is Lane.NOW else BULK
                    shown = f"(job {ticket.job}, chunk {ticket.chunk + 1} of {chunks}, {ticket.connection})"
                self._app.send_task(
                    name,
                    args=[ticket.job, ticket.chunk, ticket.connection],
                    kwargs={"fence": ticket.fence, "lane": ticket.lane.value},
                    queue=queue,
                    producer=producer,
                    ignore_result=True,
                    argsrepr=shown,
                    kwargsrepr="{}",
                    retry=False,
                )
