"""One leased chunk at work: look up who is there already, then token, begin, send, record, batch after batch.

What happened to each row is written before anything else is asked for; what it means for the connection comes next (`reactions`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from worker.addresses import fold_address
from worker.batching import BATCH_LIMIT, GraphRequest
from worker.blobs import is_final
from worker.consequences import (
    Consequences,
    build_outcome,
    build_skip,
    judge_member,
    mark_refusals,
    sum_up,
)
from worker.graph import Exchange, Priority
from worker.invitation import build_invitation, wants_mail
from worker.logs import bind
from worker.lookups import Found, LookUps, WhyNot
from worker.model import STATUS_OF, ChunkEnd, Grant, IndexPlace, Lane, Lease, Outcome, Refusals, RowState
from worker.precheck import FRESH_S, Attempt, build_known, is_overruled, judge_all
from worker.quota import Bucket, invitation_buckets
from worker.reactions import Reactions
from worker.rests import Rest, Stop
from worker.retries import UNSENT_ONLY, WHERE_BLIND, RetryRule
from worker.store import keep_trying
from worker.usage import read_used
from worker.verdicts import Operation, Verdict, decide

if TYPE_CHECKING:
    from config import Connection
    from worker.credentials import AccessToken
    from worker.services import Services

log = logging.getLogger(__name__)

MARK_MAX_AGE_S = 5.0
"""A mark older than this is not acted on: the write leaves at once or not at all, so that `settle_s` can count from the mark."""
FIRST_LOOK_S = 5.0
"""Rows in doubt are first looked up this soon, for most will be there; their absence counts only after `settle_s`."""
_RECORD_FOR_S = 600.0  # how long outcomes are carried about while Redis is away: they are known here and nowhere else
_BUSY_S = 2.0  # until a row whose guest is on the wire for another job is tried again: the answer is mostly there then
_BLOCKED_DOMAINS = 10_000  # remembered in one process at most


class _How(TypedDict):
    """How a batch is sent, or its only row."""

    priority: Priority
    deadline_s: float
    before_send: Callable[[], bool]
    retry: RetryRule


class BlockedDomains:
    """Domains that a job's tenant refuses as a whole, by one process: the rest of their rows is not tried."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    def add(self, job: str, domains: dict[str, Verdict]) -> None:
        """Remember what Graph said of some domains."""
        for domain, verdict in domains.items():
            self._verdicts[job, domain] = verdict
        while len(self._verdicts) > _BLOCKED_DOMAINS:
            del self._verdicts[next(iter(self._verdicts))]

    def __bool__(self) -> bool:
        return bool(self._verdicts)

    def find(self, job: str, email: str) -> Verdict | None:
        """Return what Graph said of an address's domain."""
        return self._verdicts.get((job, fold_address(email).rpartition("@")[2]))


class ChunkRun:
    """The work on one lease. `tally` counts what became of its rows, for Flower and the log."""

    def __init__(
        self,
        services: Services,
        lease: Lease,
        connection: Connection,
        *,
        reactions: Reactions,
        look_ups: LookUps,
        blocked: BlockedDomains,
        tally: Counter[str],
    ) -> None:
        self._services = services
        self._lease = lease
        self._connection = connection
        self._reactions = reactions
        self._look_ups = look_ups
        self._blocked = blocked
        self._tally = tally
        self._index: IndexPlace | None = None
        self._aside: dict[int, Stop] = {}  # rows that are not sent in this run
        self._ended: dict[int, Outcome] = {}  # what was recorded here, in so many blobs
        self._blobs = 0
        self._gone = False  # the job was deleted

    async def work(self, may_go_on: Callable[[], bool]) -> Stop | None:
        """Send until nothing is left (None) or it cannot go on."""
        lease, connection, services = self._lease, self._connection, self._services
        buckets = invitation_buckets(services.settings(), connection)
        emails = {i: lease.rows[i]["email"] for i in lease.pending()}
        self._index = await services.index.place(connection.tenant_key, emails)
        stop = await self._end_known()
        if stop:
            return stop
        refused_tokens = 0
        while True:
            await self._end_blocked()
            pending = [i for i in lease.pending() if i not in self._aside]
            if not pending:
                first = min(self._aside.values(), key=lambda stop: stop.wait_s, default=None)
                return first and Stop(first.why, put_off_s=first.wait_s)
            if lease.lost:
                return Stop(Rest.DELETED if self._gone else Rest.LEASE)
            if not may_go_on():
                return Stop(Rest.LONG)
            token = await self._reactions.take_token(connection)
            if isinstance(token, Stop):
                return token
            asked_s = asyncio.get_running_loop().time()  # the mark is at most this old: its answer may have been slow
            grant = await services.ledger.begin_batch(
                lease,
                pending[:BATCH_LIMIT],
                buckets,
                tenant_key=connection.tenant_key,
                client_key=connection.client_key,
                daily_limit=connection.daily_limit or 0,
                index=self._index,
                resend=lease.options.resend,
                fingerprint=token.fingerprint,
                answer_s=services.latencies.of(connection.name),
            )
            if grant.why:
                stop = await self._reactions.refused_to_begin(connection, grant, lease.ticket.lane)
                if stop:
                    return stop
                continue
            found = await self._send(grant, token, asked_s) if grant.rows else Consequences()
            await self._end_invited_before(grant)
            if found.token_refused:
                refused_tokens += 1
                await services.tokens.invalidate(connection, token)
                if refused_tokens > 1:
                    return await self._reactions.token_refused_by_graph(connection)
                continue
            refused_tokens = 0
            self._blocked.add(lease.ticket.job, found.blocked_domains)
            stop = await self._react(buckets, grant, found, token)
            if stop:
                return stop

    async def _end_invited_before(self, grant: Grant) -> None:
        """Take note of the rows that `begin_batch` let pass: those invited lately end, those on the wire elsewhere wait."""
        self._aside.update(dict.fromkeys(grant.blocked, Stop(Rest.GUEST, _BUSY_S)))
        if grant.known:
            now_ms = self._services.clocks.redis_ms()
            await self._record(0, [build_known(row, now_ms) for row in grant.known])

    async def _end_known(self) -> Stop | None:
        """Look the chunk up before its first send, where that is wanted: whoever is in the directory already is not invited.

        Of whom nobody can tell for now, nobody is sent: those rows are set aside, or, where that is all of them, the
        chunk stops. Where the app may not look, Graph itself says who is there, one row at a time.
        """
        lease, services = self._lease, self._services
        if lease.options.resend or not (self._connection.precheck or lease.suspect):
            return None
        now_ms = services.clocks.redis_ms()
        if abs(now_ms - lease.checked_at_ms) < FRESH_S * 1000:  # far ahead: from before the clock was put back
            return None
        addresses = {i: fold_address(lease.rows[i]["email"]) for i in lease.pending()}
        if not addresses:
            return None
        epoch = services.ledger.presence.epoch
        found = await self._look_ups.find(self._connection, sorted(addresses.values()), lease.ticket.lane)
        if found.users is None:
            return await self._reactions.cannot_look(self._connection, found) if found.delay else None
        outcomes = await self._judge_known(addresses, found, now_ms)
        ended = {outcome.index for outcome in outcomes}
        others = {i: address for i, address in addresses.items() if i not in ended}
        outcomes += judge_all(others, found.users, now_ms, await self._first_attempts(now_ms))
        if outcomes:
            await self._record(0, outcomes)
        if not found.delay:
            lease.checked_in = epoch
            await self._reactions.looked(self._connection)
            return None
        stop = await self._reactions.cannot_look(self._connection, found)
        unknown = (i for i, address in addresses.items() if found.why_not_of(address) is WhyNot.LATER)
        self._aside.update(dict.fromkeys(unknown, stop))
        return None

    async def _judge_known(self, addresses: Mapping[int, str], found: Found, looked_at_ms: int) -> list[Outcome]:
        """End the rows of guests invited lately; not of those who are not in the directory any more, which the index forgets.

        Of whom nobody can tell, the index has the word (`begin_batch`).
        """
        ledger, users, outcomes, deleted = self._services.ledger, found.users or {}, [], []
        assert self._index is not None
        for row in await ledger.find_invited(self._index, list(addresses)):
            address = addresses[row.index]
            if (user := users.get(address)) is not None:
                outcomes.append(build_known(row, looked_at_ms, user))
            elif found.why_not_of(address) is None:
                if is_overruled(row, looked_at_ms, ledger.settle_s, self._services.clocks):
                    deleted.append(row)
                else:
                    outcomes.append(build_known(row, looked_at_ms))
        if deleted:
            await ledger.overrule(self._index, deleted)
        return outcomes

    async def _react(
        self, buckets: Sequence[Bucket], grant: Grant, found: Consequences, token: AccessToken
    ) -> Stop | None:
        """Do what a batch means for its connection; None when it may go on."""
        reactions, connection = self._reactions, self._connection
        if found.hold:
            return await reactions.hold(connection, found.hold, token)
        if found.processed and grant.probe:
            await reactions.answered_again(connection)
        if found.throttled:
            return await reactions.throttled(
                connection,
                buckets,
                found.throttled,
                refused=found.refused,
                begun_since=self._services.begun.since(connection.client_key, found.begun),
                elapsed_s=found.elapsed_s,
            )
        if found.retry:
            return await reactions.away(connection, found.retry)
        if found.lost and not found.processed:  # not one answer: more rows would only be in doubt too
            return await reactions.away(connection, found.lost)
        await reactions.worked(connection)
        if grant.tries_quota and not found.lost:
            await self._services.ledger.spending.works(buckets)
        if grant.probation and not found.lost:
            await self._services.ledger.passed_probation(connection.name)
        return None

    async def _send(self, grant: Grant, token: AccessToken, marked_s: float) -> Consequences:
        """Send the granted rows at once and record what came back, whatever came back. `marked_s`: on the loop's clock."""
        services, connection, loop = self._services, self._connection, asyncio.get_running_loop()
        begun = services.begun.add(connection.client_key, len(grant.rows))
        may_read = self._look_ups.may_read(connection, token)
        exchange = await self._exchange(grant, token, marked_s, may_read=may_read)
        elapsed_s = loop.time() - marked_s
        bind(client_request_id=exchange.client_request_id)
        services.clocks.learn_graph(connection.graph_url, exchange.server_date)
        if exchange.status:
            services.latencies.learn(connection.name, exchange.elapsed_s)
        services.meters.batch(connection.name, len(grant.rows), exchange.elapsed_s)
        services.meters.answers(connection.name, "invite", exchange.answers.values())
        verdicts, outcomes = self._judge(grant, exchange, may_read=may_read)
        refusals = Refusals(connection.refusals_in_a_row, connection.refused_share, mark_refusals(verdicts))
        await self._record(grant.batch, outcomes, refusals)
        used = read_used(exchange.answers.values())
        if used is not None:
            await services.ledger.spending.show_used(
                invitation_buckets(services.settings(), connection),
                used,
                begun_since=services.begun.since(connection.client_key, begun),
                elapsed_s=loop.time() - marked_s,
            )
        found = sum_up(verdicts)
        found.begun, found.elapsed_s = begun, elapsed_s
        return found

    async def _exchange(self, grant: Grant, token: AccessToken, marked_s: float, *, may_read: bool) -> Exchange:
        """Send the granted rows, unless the lease was lost or the mark has grown old, and return what came back."""
        services, lease, connection, loop = self._services, self._lease, self._connection, asyncio.get_running_loop()

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
        how: _How = {
            "priority": "high" if lease.ticket.lane is Lane.NOW else "low",
            "deadline_s": services.settings().graph.timeout_s,
            "before_send": may_leave,
            # What is throttled is the quota's business, which would not hear of a 429 that was repeated here. A 503 with Retry-After is
            # taken at its word where nobody could look.
            "retry": UNSENT_ONLY if may_read else WHERE_BLIND,
        }
        if len(requests) == 1:
            return await services.graph.send_one(connection, token.secret, requests[0], **how)
        return await services.graph.send_batch(connection, token.secret, requests, **how)

    def _judge(
        self, grant: Grant, exchange: Exchange, *, may_read: bool
    ) -> tuple[list[tuple[str, Verdict]], list[Outcome]]:
        """Say of each granted row what its answer means, beside its folded address, and what is kept of it."""
        lease, connection = self._lease, self._connection
        now_ms = self._services.clocks.redis_ms()
        look_after_s = min(FIRST_LOOK_S, self._services.ledger.settle_s / 4)
        verdicts, outcomes = [], []
        for granted in grant.rows:
            row = lease.rows[granted.index]
            verdict = judge_member(
                row, decide(Operation.INVITE, exchange.answers[str(granted.index)], email=row["email"])
            )
            verdicts.append((fold_address(row["email"]), verdict))
            outcomes.append(
                build_outcome(
                    granted.index,
                    granted.attempt,
                    verdict,
                    mail=not granted.silent and wants_mail(row, connection, lease.options),
                    silent=granted.silent,
                    may_read=may_read,
                    look_after_s=look_after_s,
                    request_id=exchange.client_request_id,
                    at_ms=now_ms,
                )
            )
        return verdicts, outcomes

    async def _record(self, batch: int, outcomes: Sequence[Outcome], refusals: Refusals | None = None) -> None:
        lease, ledger = self._lease, self._services.ledger
        ticket, index = lease.ticket, self._index
        self._ended |= {outcome.index: outcome for outcome in outcomes if is_final(outcome)}
        whole = len(self._ended) == len(lease.rows)
        end = (
            ChunkEnd(
                lease.rows, [self._ended[i] for i in range(len(lease.rows))], self._blobs, lease.base, lease.packed
            )
            if whole
            else None
        )
        recorded = await keep_trying(
            lambda: ledger.record_batch(
                ticket.job, ticket.chunk, ticket.connection, ticket.lane, batch, outcomes, index, refusals, end
            ),
            _RECORD_FOR_S,
        )
        self._blobs += recorded.blob > 0
        letters: list[str] = list(lease.letters)
        for outcome in outcomes:
            letters[outcome.index] = outcome.letter
        lease.letters = "".join(letters)
        for letter, count in Counter(outcome.letter for outcome in outcomes).items():
            self._tally[_word(letter)] += count
        if recorded.gone:
            log.info("job %s was deleted while rows of its chunk %d were in work", ticket.job, ticket.chunk + 1)
            lease.lost = self._gone = True
        elif recorded.pending == 0 and recorded.open == 0 and not recorded.folded:
            await ledger.fold(ticket.job, ticket.chunk)

    async def _first_attempts(self, now_ms: int) -> dict[int, Attempt]:
        """Return the first attempt of each row that was in doubt before."""
        lease, connection, clocks = self._lease, self._connection, self._services.clocks
        found = {}
        for i, at_ms in (await self._services.ledger.doubts.first_attempts(lease)).items():
            mail = "requested" if wants_mail(lease.rows[i], connection, lease.options) else "none"
            outcome = Outcome(i, RowState.INVITED, mail=mail, attempts=int(lease.attempts[i]), at_ms=now_ms)
            found[i] = Attempt(clocks.graph_time(connection.graph_url, at_ms), outcome)
        return found

    async def _end_blocked(self) -> None:
        """End the rows of domains that the tenant refuses as a whole."""
        if not self._blocked:
            return
        lease = self._lease
        now_ms = self._services.clocks.redis_ms()
        outcomes = []
        for i in lease.pending():
            verdict = self._blocked.find(lease.ticket.job, lease.rows[i]["email"])
            if verdict:
                outcomes.append(build_skip(i, verdict, now_ms))
        if outcomes:
            await self._record(0, outcomes)


def _word(letter: RowState) -> str:
    """How a row stands, as Flower and the log say it."""
    if letter in (RowState.PENDING, RowState.PENDING_SILENT):
        return "to_be_sent_again"
    return "in_doubt" if letter is RowState.IN_DOUBT else STATUS_OF[letter]
