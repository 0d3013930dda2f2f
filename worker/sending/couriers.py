"""Calls are carried by Graph's client or, where they are mails, by the mailroom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from worker.graph.client import Priority
from worker.graph.exchange import Exchange
from worker.graph.retry import UNSENT_ONLY, WHERE_BLIND
from worker.ledger.model import Lane, Lease
from worker.operations.operation import Call, Operation

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services
    from worker.signin.credentials import AccessToken


MARK_MAX_AGE_S = 5.0
"""A mark older than this is not acted on: the write leaves at once or not at all, so that
`settle_s` can count from the mark.
"""


async def carry(
    services: Services,
    lease: Lease,
    connection: Connection,
    token: AccessToken | None,
    calls: Sequence[Call],
    marked_s: float,
    *,
    may_read: bool,
) -> Exchange:
    """Send the calls of granted rows at once, unless the lease was lost or the mark has grown old,
    and return what came back. `token`: where their operation signs in; `marked_s`: on the loop's
    clock; `may_read`: users can be looked up.
    """
    loop = asyncio.get_running_loop()

    def may_leave() -> bool:
        return not lease.lost and loop.time() - marked_s < MARK_MAX_AGE_S

    how: _How = {
        "priority": "high" if lease.ticket.lane is Lane.NOW else "low",
        "deadline_s": services.settings().graph.timeout_s,
        "before_send": may_leave,
    }
    mail = calls[0].mail
    if mail is not None:
        return await services.mailroom.send(connection, token.secret if token else None, mail, **how)
    assert token is not None
    # What is throttled is the quota's business, which would not hear of a 429 that was repeated
    # here. A 503 with Retry-After is taken at its word where nobody could look.
    retry = UNSENT_ONLY if may_read else WHERE_BLIND
    if len(calls) == 1:
        return await services.graph.send_one(connection, token.secret, calls[0].request, retry=retry, **how)
    requests = [call.request for call in calls]
    return await services.graph.send_batch(connection, token.secret, requests, retry=retry, **how)


class _How(TypedDict):
    """How calls are sent, whoever carries them."""

    priority: Priority
    deadline_s: float
    before_send: Callable[[], bool]


async def open_links(services: Services, lease: Lease, operation: Operation) -> Mapping[int, str]:
    """Return the redeem links of the invitations of a stage's pending rows, which lie sealed in the
    job that invited; none where the operation does not tell them. Raises `SealError`.
    """
    if not operation.tells_link:
        return {}
    places: dict[int, tuple[int, int]] = {i: tuple(lease.rows[i]["at"]) for i in lease.pending()}
    links = await services.jobs.rows.links(lease.ticket.job.partition("~")[0], places.values())
    return {i: links[place] for i, place in places.items() if place in links}
