"""A member of the tenant is created: one write, within the quota, never repeated where its answer
was lost; then it is looked whether the user is there.

It is no job, for a job would have to keep the password.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker.directory.guests import GuestReader
from worker.directory.reader import LONGEST_WAIT_S, WAITS_S
from worker.errors import UsherError
from worker.graph.batch import GraphRequest
from worker.graph.causes import Kind, Verdict
from worker.graph.new_users import CREATE_USERS
from worker.graph.retry import UNSENT_ONLY
from worker.graph.verdicts import decide
from worker.ledger.quota import write_buckets

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

_SLACK = timedelta(seconds=2)
"""Between this clock and Graph's."""
_LOOKS_S = (0.0, 1.0, 2.0)
"""Before each look whether the user is there."""


class NotCreated(UsherError):
    """No user was created; the text is a sentence."""


class CreatedOrNot(UsherError):
    """Nobody knows whether the user was created; the text is a sentence."""


async def create_user(services: Services, connection: Connection, body: dict[str, Any]) -> str:
    """Create a user; returns the object id. Raises `NotCreated`, `CreatedOrNot`, `TokenRefused` and
    `TokenUnavailable`.
    """
    begun = services.clocks.graph_time(connection.graph_url, services.clocks.redis_ms())
    verdict = await _send(services, connection, body)
    if verdict.kind is Kind.DONE:
        return verdict.user_id
    if verdict.kind is not Kind.IN_DOUBT:
        raise NotCreated(f"{verdict.message} Nobody was created.")
    since = datetime.fromtimestamp(begun, UTC) - _SLACK
    for wait_s in _LOOKS_S:
        await asyncio.sleep(wait_s)
        for user in await GuestReader(services, connection).find(str(body["userPrincipalName"]).lower()):
            if user.created_at is not None and user.created_at >= since:
                return user.id
    raise CreatedOrNot(
        "Microsoft's answer was lost, and the directory does not show this user (it may take some minutes): look with"
        " usher users get before you create the user once more. If the user is there, the password is the one shown"
        " here."
    )


async def _send(services: Services, connection: Connection, body: dict[str, Any]) -> Verdict:
    """Send the request; what was refused before it was processed is tried again for a while."""
    buckets = write_buckets(services.settings(), connection)
    verdict = Verdict(Kind.RETRY, message="Microsoft Graph could not be reached.")
    for own_wait_s in (*WAITS_S, 0.0):
        wait_s = await services.ledger.spending.take(buckets, 1)
        if not wait_s:
            token = await services.tokens.get(connection)
            if CREATE_USERS.is_granted(token.roles) is False:
                cause = CREATE_USERS.statuses[403]
                return Verdict(Kind.FAILED, message=CREATE_USERS.explain(cause))
            exchange = await services.graph.send_one(
                connection, token.secret, GraphRequest("1", "POST", "/users", body), priority="high", retry=UNSENT_ONLY
            )
            verdict = decide(CREATE_USERS, exchange.answers["1"])
            if verdict.kind is Kind.TOKEN:
                await services.tokens.invalidate(connection, token)
            elif verdict.kind is Kind.RETRY and verdict.maybe_processed:
                return replace(verdict, kind=Kind.IN_DOUBT)
            elif verdict.kind not in (Kind.THROTTLED, Kind.RETRY):
                return verdict
            wait_s = verdict.retry_after_s or 0.0
        if own_wait_s:
            await asyncio.sleep(min(max(wait_s, own_wait_s), LONGEST_WAIT_S))
    return verdict
