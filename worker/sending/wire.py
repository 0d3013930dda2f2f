"""The requests of granted rows leave, at once or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict

from worker.graph.client import Priority
from worker.graph.exchange import Exchange
from worker.graph.retry import UNSENT_ONLY, WHERE_BLIND, RetryRule
from worker.ledger.model import Lane, Lease

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphRequest
    from worker.services import Services
    from worker.signin.credentials import AccessToken

MARK_MAX_AGE_S = 5.0
"""A mark older than this is not acted on: the write leaves at once or not at all, so that
`settle_s` can count from the mark.
"""


class _How(TypedDict):
    """How a batch is sent, or its only row."""

    priority: Priority
    deadline_s: float
    before_send: Callable[[], bool]
    retry: RetryRule


async def send(
    services: Services,
    connection: Connection,
    lease: Lease,
    requests: Sequence[GraphRequest],
    token: AccessToken,
    marked_s: float,
    *,
    may_read: bool,
) -> Exchange:
    """Send requests of a leased chunk, unless the lease was lost or the mark has grown old, and
    return what came back. `marked_s`: on the loop's clock.
    """
    loop = asyncio.get_running_loop()

    def may_leave() -> bool:
        return not lease.lost and loop.time() - marked_s < MARK_MAX_AGE_S

    how: _How = {
        "priority": "high" if lease.ticket.lane is Lane.NOW else "low",
        "deadline_s": services.settings().graph.timeout_s,
        "before_send": may_leave,
        # What is throttled is the quota's business, which would not hear of a 429 that was
        # repeated here. A 503 with Retry-After is taken at its word where nobody could look.
        "retry": UNSENT_ONLY if may_read else WHERE_BLIND,
    }
    if len(requests) == 1:
        return await services.graph.send_one(connection, token.secret, requests[0], **how)
    return await services.graph.send_batch(connection, token.secret, [*requests], **how)
