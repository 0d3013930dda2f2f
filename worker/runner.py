"""Running one chunk: claim it, then token, begin, send, record, batch after batch, until nothing is left or it cannot go on.

A chunk that cannot go on (no token, gate closed, quota spent) is given back at once: a seat never waits. What happened to each
row is written before anything else is asked for; what that means for the connection comes next (`reactions`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from worker.addresses import fold_address
from worker.batching import GraphRequest
from worker.consequences import Consequences, build_outcome, build_skip, sum_up
from worker.directory import READ_ROLES
from worker.invitation import build_invitation, wants_mail
from worker.leases import Leases
from worker.ledger import BATCH_ROWS
from worker.model import STATUS_OF, Grant, Lane, Lease, Outcome, RowState, Ticket
from worker.quota import invitation_buckets
from worker.reactions import Reactions
from worker.store import OUTAGE, keep_trying
from worker.verdicts import Operation, Verdict, decide

if TYPE_CHECKING:
    from config import Connection
    from worker.services import Services
    from worker.tokens import AccessToken

log = logging.getLogger(__name__)

MARK_MAX_AGE_S = 5.0
"""A mark older than this is not acted on: the write leaves at once or not at all, so that `settle_s` can count from the mark."""
LEASE_MAX_S = 280.0
"""A chunk is given back after this long, below the five minutes for which a lease may be renewed."""
FIRST_LOOK_S = 5.0
"""Rows in doubt are first looked up this soon, for most will be there; their absence counts only after `settle_s`."""
_UNKNOWN_CONNECTION_S = 10.0  # until a worker that knows it may have come
_RECORD_FOR_S = 600.0  # how long outcomes are carried about while Redis is away: they are known here and nowhere else
_BLOCKED_DOMAINS = 10_000  # remembered in one process at most


class ChunkRunner:
    """Runs chunks in one process. `stopping` is asked between batches: a warm shutdown ends after the batch in flight."""

    def __init__(self, services: Services, leases: Leases, reactions: Reactions, stopping: Callable[[], bool]) -> None:
        self._services = services
        self._leases = leases
        self._reactions = reactions
        self._stopping = stopping
        self._blocked: dict[tuple[str, str], Verdict] = {}  # (job, domain) that the tenant refuses as a whole

    async def run(self, ticket: Ticket) -> dict[str, Any]:
        """Claim an offered chunk and run it as far as it goes. Returns its counts, for Flower; nothing about anybody.

        An offer that is void, or was claimed before, is a no-op: its message came late, or twice.
        """
        place = {"job": ticket.job, "chunk": ticket.chunk + 1, "connection": ticket.connection}
        lease = await self._services.ledger.claim(ticket)
        if lease is None:
            return {**place, "not_run": "this offer is void or was claimed before"}
        began_s, wait_s = asyncio.get_running_loop().time(), 1.0
        tally: Counter[str] = Counter()
        self._leases.add(lease)
        try:
            wait_s = await self._work(lease, tally, began_s + LEASE_MAX_S)
        except OUTAGE as error:
            log.warning("job %s chunk %d: Redis is away (%s); its rows wait", ticket.job, ticket.chunk + 1, type(error).__name__)
        finally:
            self._leases.remove(lease)
            await self._give_back(lease, wait_s)
        counts = dict(sorted(tally.items()))
        took_s = asyncio.get_running_loop().time() - began_s
        words = ", ".join(f"{count} {word}" for word, count in counts.items()) or "nothing sent"
        log.info(
            "job %s chunk %d of %d, %s: %s in %.1f s", ticket.job, ticket.chunk + 1, lease.chunks, ticket.connection, words, took_s
        )
        return {**place, "chunks": lease.chunks, **counts}

    async def _work(self, lease: Lease, tally: Counter[str], deadline_s: float) -> float:
        """Send batches until it cannot go on; returns the seconds after which the rest is to be offered again."""
        connection = self._connection(lease.ticket.connection)
        if connection is None:
            return _UNKNOWN_CONNECTION_S
        buckets = invitation_buckets(self._services.settings(), connection)
        refused_tokens = 0
        while True:
            await self._end_blocked(lease, tally)
            pending = lease.pending()
            if not pending or lease.lost or self._stopping() or asyncio.get_running_loop().time() > deadline_s:
                return 0.0
            token = await self._reactions.take_token(connection, fresh=refused_tokens > 0)
            if isinstance(token, float):
                return token
            grant = await self._services.ledger.begin_batch(
                lease,
                pending[:BATCH_ROWS],
                buckets,
                tenant_key=connection.tenant_key,
                client_key=connection.client_key,
                daily_limit=connection.daily_limit or 0,
            )
            if not grant.rows:
                return await self._reactions.refused_to_begin(connection, grant)
            found = await self._send(lease, grant, connection, token, tally)
            if found.token_refused:
                refused_tokens += 1
                await self._services.tokens.invalidate(connection, token)
                if refused_tokens > 1:
                    return await self._reactions.token_refused_by_graph(connection)
                continue
            self._remember_blocked(lease.ticket.job, found.blocked_domains)
            if found.hold:
                return await self._reactions.hold(connection, found.hold)
            if found.processed and grant.probe:
                await self._reactions.answered_again(connection)
            if found.throttled:
                return await self._reactions.throttled(connection, buckets, found.throttled)
            if found.retry:
                return self._reactions.away(connection, found.retry)
            if found.processed:
                self._reactions.worked(connection)

    async def _send(
        self, lease: Lease, grant: Grant, connection: Connection, token: AccessToken, tally: Counter[str]
    ) -> Consequences:
        """Send the granted rows at once and record what came back, whatever came back."""
        services, ticket = self._services, lease.ticket
        loop = asyncio.get_running_loop()
        marked_s = loop.time()

        def may_leave() -> bool:
            return not lease.lost and loop.time() - marked_s < MARK_MAX_AGE_S

        requests = [
            GraphRequest(
                str(row.index),
                "POST",
                "/invitations",
                build_invitation(lease.rows[row.index], connection, lease.options, silent=row.silent),
            )
            for row in grant.rows
        ]
        priority = "high" if ticket.lane is Lane.NOW else "low"
        timeout_s = services.settings().graph.timeout_s
        secret = token.secret.reveal()
        if len(requests) == 1:
            exchange = await services.graph.send_one(
                connection, secret, requests[0], priority=priority, deadline_s=timeout_s, before_send=may_leave
            )
        else:
            exchange = await services.graph.send_batch(
                connection, secret, requests, priority=priority, deadline_s=timeout_s, before_send=may_leave
            )
        services.clocks.learn_graph(connection.graph_url, exchange.server_date)
        may_read = bool(token.roles and token.roles & READ_ROLES)
        now_ms = services.clocks.redis_ms()
        verdicts, outcomes = [], []
        for granted in grant.rows:
            row = lease.rows[granted.index]
            verdict = decide(Operation.INVITE, exchange.answers[str(granted.index)], email=row["email"])
            verdicts.append((fold_address(row["email"]), verdict))
            outcomes.append(
                build_outcome(
                    granted.index,
                    granted.attempt,
                    verdict,
                    mail=not granted.silent and wants_mail(row, connection, lease.options),
                    silent=granted.silent,
                    may_read=may_read,
                    look_after_s=min(FIRST_LOOK_S, services.ledger.settle_s / 4),
                    request_id=exchange.client_request_id,
                    at_ms=now_ms,
                )
            )
        await self._record(lease, grant.batch, outcomes, tally)
        return sum_up(verdicts)

    async def _record(self, lease: Lease, batch: int, outcomes: Sequence[Outcome], tally: Counter[str]) -> None:
        ticket, ledger = lease.ticket, self._services.ledger
        recorded = await keep_trying(
            lambda: ledger.record_batch(ticket.job, ticket.chunk, ticket.connection, ticket.lane, batch, outcomes), _RECORD_FOR_S
        )
        letters = list(lease.letters)
        for outcome in outcomes:
            letters[outcome.index] = outcome.letter.value
            tally[_word(outcome.letter)] += 1
        lease.letters = "".join(letters)
        if recorded.gone:
            log.info("job %s was deleted while rows of its chunk %d were on the wire", ticket.job, ticket.chunk + 1)
            lease.lost = True
        elif recorded.pending == 0 and recorded.open == 0:
            await ledger.fold(ticket.job, ticket.chunk)

    async def _end_blocked(self, lease: Lease, tally: Counter[str]) -> None:
        """End the rows of domains that the tenant refuses as a whole."""
        if not self._blocked:
            return
        now_ms = self._services.clocks.redis_ms()
        outcomes = []
        for index in lease.pending():
            domain = fold_address(lease.rows[index]["email"]).rpartition("@")[2]
            verdict = self._blocked.get((lease.ticket.job, domain))
            if verdict:
                outcomes.append(build_skip(index, verdict, now_ms))
        if outcomes:
            await self._record(lease, 0, outcomes, tally)

    def _remember_blocked(self, job: str, domains: dict[str, Verdict]) -> None:
        for domain, verdict in domains.items():
            self._blocked[job, domain] = verdict
        while len(self._blocked) > _BLOCKED_DOMAINS:
            del self._blocked[next(iter(self._blocked))]

    def _connection(self, name: str) -> Connection | None:
        from config import ConfigError

        try:
            return self._services.connection(name)
        except ConfigError as error:
            log.warning("connection %s is not configured in this worker; its rows wait for one that knows it (%s)", name, error)
            return None

    async def _give_back(self, lease: Lease, wait_s: float) -> None:
        try:
            await self._services.ledger.release(lease, wait_s)
        except OUTAGE:
            log.warning("job %s chunk %d was not given back; its lease ends by itself", lease.ticket.job, lease.ticket.chunk + 1)


def _word(letter: RowState) -> str:
    """How a row stands, as Flower and the log say it."""
    if letter in (RowState.PENDING, RowState.PENDING_SILENT):
        return "to_be_sent_again"
    return "in_doubt" if letter is RowState.IN_DOUBT else STATUS_OF[letter]
