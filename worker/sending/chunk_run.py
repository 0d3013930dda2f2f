"""A chunk that is leased is worked on: look who is there, then token, begin, send, record, batch
after batch.

What happened to each row is written before anything else is asked for; what it means for the
connection comes next (`reactions`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from worker.directory.lookups import LookUps
from worker.graph.causes import Kind
from worker.graph.limit_header import read_used
from worker.ledger.model import Grant, IndexPlace, Lease, Outcome, Refusals, RowState, find_resent
from worker.ledger.quota import Bucket, shown_buckets
from worker.ledger.why_waiting import Rest, Stop
from worker.logs import bind
from worker.operations.forbidden import blame
from worker.operations.operation import NOT_THERE_YET, Asked, CannotAsk, Channel
from worker.operations.outcomes import Consequences, Judged, build_outcome, build_skip, mark_refusals, sum_up
from worker.sending.comparing import Comparing
from worker.sending.couriers import carry, open_links
from worker.sending.first_look import FirstLook, Looked, may_not_read
from worker.sending.guarding import cannot_tell, end_guarded
from worker.sending.not_shown import wait_or_end, wait_together
from worker.sending.reactions import Reactions
from worker.sending.recording import Recording
from worker.sending.refused_wholes import RefusedWholes
from worker.sending.together import choose_together
from worker.sending.written_again import find_waiting

if TYPE_CHECKING:
    from worker.graph.causes import Verdict
    from worker.ledger.job_targets import Target
    from worker.services import Services
    from worker.signin.credentials import AccessToken

log = logging.getLogger(__name__)

FIRST_LOOK_S = 5.0
"""Rows in doubt are first looked up this soon, for most will be there; their absence counts only
after `settle_s`.
"""
_BUSY_S = 2.0  # until a row whose guest is on the wire for another job is tried again: the answer is mostly there then


class ChunkRun:
    """A run works on one lease. `tally` counts what became of the lease's rows, for Flower and the
    log.
    """

    def __init__(
        self,
        services: Services,
        lease: Lease,
        channel: Channel,
        *,
        reactions: Reactions,
        look_ups: LookUps,
        refused: RefusedWholes,
        tally: Counter[str],
    ) -> None:
        self._services = services
        self._lease = lease
        self._channel = channel = channel.settled(lease.options)
        self._connection = channel.connection
        self._operation = channel.operation
        self._reactions = reactions
        self._look_ups = look_ups
        self._refused = refused
        self._recording = Recording(services, lease, channel.operation, tally)
        self._comparing = Comparing(services, lease, channel, reactions)
        self._index: IndexPlace | None = None
        self._along: Mapping[int, tuple[Target, ...]] = {}  # what rows take along, by row
        self._looked = Looked()
        self._links: Mapping[int, str] = {}  # of the rows' invitations, where the operation tells them
        self._aside: dict[int, Stop] = {}  # rows that are not sent in this run
        self._sent = False
        self._known = False  # some guest was, where a write asked

    async def work(self, may_go_on: Callable[[], bool]) -> Stop | None:
        """Send until nothing is left (None) or the chunk cannot go on."""
        lease, connection, services, operation = self._lease, self._connection, self._services, self._operation
        self._index = await self._find_place()
        self._along = await self._comparing.find_along()
        if stop := await self._look() or await self._spare_guarded() or await self._find_targets():
            return stop
        self._links = await open_links(services, lease, operation)
        self._aside |= await find_waiting(services, lease, operation, self._recording)
        refused_tokens = 0
        while True:
            await self._end_refused()
            pending = [i for i in lease.pending() if i not in self._aside]
            if not pending or lease.lost or not may_go_on():
                return self._why_over(pending)
            token = await self._reactions.take_token(connection) if operation.signs_in(connection) else None
            if isinstance(token, Stop):
                return token
            wanted = choose_together(self._operation, self._lease, pending, known=self._known)
            asked = self._ask_for(wanted)
            stays = await self._compare(list(asked.values()))
            if isinstance(stays, Stop):
                return stays
            if stays:
                continue
            buckets = operation.buckets(services.settings(), connection, list(asked.values()))
            asked_s = asyncio.get_running_loop().time()  # the mark is at most this old: its answer may have been slow
            grant = await services.ledger.begin_batch(
                lease,
                wanted,
                buckets,
                tenant_key=connection.tenant_key,
                client_key=connection.client_key,
                daily_limit=operation.daily_limit(connection),
                index=self._index,
                resent=wanted if operation.alone else find_resent(lease.rows, wanted, lease.options),
                fingerprint=token.fingerprint if token else "",
                answer_s=services.latencies.of(connection.name),
            )
            if grant.why:
                stop = await self._reactions.refused_to_begin(self._channel, grant, lease.ticket.lane)
                if stop:
                    return stop
                continue
            self._sent = True
            found = await self._send(grant, asked, buckets, token, asked_s) if grant.rows else Consequences()
            await self._end_invited_before(grant)
            if found.token_refused and token:
                refused_tokens += 1
                await services.tokens.invalidate(connection, token)
                if refused_tokens > 1:
                    return await self._reactions.token_refused_by_graph(connection)
                continue
            refused_tokens = 0
            self._refused.add(lease.ticket.job, found.refused_wholes)
            stop = await self._react(buckets, grant, found, token)
            if stop:
                return stop

    async def _find_place(self) -> IndexPlace | None:
        """Return where the guests stand in the index: no two jobs do to one what is done once."""
        if self._operation.repeatable or not self._operation.shown:
            return None
        emails = {i: self._lease.rows[i]["email"] for i in self._lease.pending()}
        return await self._services.index.place(self._connection.tenant_key, emails)

    async def _look(self) -> Stop | None:
        """Find out who is there before the first send; rows that end by that are recorded."""
        first = FirstLook(
            self._services, self._lease, self._channel, reactions=self._reactions, look_ups=self._look_ups
        )
        looked = await first.look(self._index)
        self._looked, self._aside = looked, looked.aside
        if looked.outcomes:
            await self._record(0, looked.outcomes)
        return looked.stop

    async def _spare_guarded(self) -> Stop | None:
        """End the rows of whoever must not be touched; where nobody can tell who that is, the
        channel is held. Nobody is sent whom the look-up did not find.
        """
        if not (pending := self._guarded()):
            return None
        try:
            guard = await self._look_ups.guards.find(self._comparing.ask, self._connection)
        except CannotAsk as later:
            return later.stop
        if guard.unread:
            return await self._reactions.hold(self._channel, cannot_tell(guard), self._comparing.token)
        now_ms = self._services.clocks.redis_ms()
        if outcomes := end_guarded(guard, pending, self._looked.users, now_ms):
            await self._record(0, outcomes)
        unseen = (i for i in self._guarded() if i not in self._looked.users and i not in self._aside)
        self._aside |= dict.fromkeys(unseen, Stop(Rest.LOOK_UP, _BUSY_S))
        return None

    def _guarded(self) -> Sequence[int]:
        """Return the pending rows that are about people who may have to be spared."""
        return self._operation.find_guarded(self._lease.rows, self._lease.pending())

    async def _find_targets(self) -> Stop | None:
        """Find out what the rows' names stand for in the tenant; without the right to, the channel
        is held.
        """
        try:
            found = await self._comparing.find_targets()
        except CannotAsk as later:
            return later.stop
        if not found.may_not:
            return None
        return await self._reactions.hold(self._channel, may_not_read(found.may_not), self._comparing.token)

    def _why_over(self, pending: Sequence[int]) -> Stop | None:
        """Return why a run ends that has these rows left to send, and those set aside."""
        if not pending:
            first = min(self._aside.values(), key=lambda stop: stop.wait_s, default=None)
            return first and Stop(first.why, put_off_s=first.wait_s)
        if self._lease.lost:
            return Stop(Rest.DELETED if self._recording.gone else Rest.LEASE)
        return Stop(Rest.LONG)

    async def _compare(self, asked: Sequence[Asked]) -> Stop | bool:
        """Compare rows that are about to leave with what the tenant has. Whether some of them do
        not leave; a stop where nobody can tell now.
        """
        try:
            found = await self._comparing.compare(asked)
        except CannotAsk as later:
            return later.stop
        if not found:
            return False
        self._aside |= {index: one for index, one in found.items() if isinstance(one, Stop)}
        self._wait_together([one.index for one in asked])
        outcomes = [one for one in found.values() if isinstance(one, Outcome)]
        if outcomes:
            await self._record(0, outcomes)
            if not (self._sent or self._lease.pending()):  # all is as it should be, which is as good as a clean batch
                await self._services.ledger.passed_probation(self._channel.name)
        return True

    def _wait_together(self, tried: Sequence[int]) -> None:
        """Let the others wait too where the directory knows none of those that were tried."""
        if not self._aside:
            return
        lease, now_ms = self._lease, self._services.clocks.redis_ms()
        self._aside |= wait_together(lease.rows, tried, self._aside, lease.pending(), now_ms)

    async def _end_invited_before(self, grant: Grant) -> None:
        """Take note of the rows that `begin_batch` let pass: those invited lately end, those on the
        wire elsewhere wait.
        """
        self._aside.update(dict.fromkeys(grant.blocked, Stop(Rest.GUEST, _BUSY_S)))
        if grant.known:
            now_ms = self._services.clocks.redis_ms()
            await self._record(0, [self._operation.judge_known(row, now_ms) for row in grant.known])

    async def _react(
        self, buckets: Sequence[Bucket], grant: Grant, found: Consequences, token: AccessToken | None
    ) -> Stop | None:
        """Do what a batch means for its connection; None when it may go on."""
        reactions, connection, channel = self._reactions, self._connection, self._channel
        if found.hold:
            return await reactions.hold(channel, found.hold, token)
        if found.processed and grant.probe:
            await reactions.answered_again(channel.name)
        if found.throttled:
            return await reactions.throttled(
                channel.name,
                buckets,
                found.throttled,
                refused=found.refused,
                begun_since=self._services.begun.since(connection.client_key, found.begun, buckets[0].cost),
                elapsed_s=found.elapsed_s,
            )
        if found.retry:
            return await reactions.away(channel.name, found.retry)
        if found.lost and not found.processed:  # not one answer: more rows would only be in doubt too
            return await reactions.away(channel.name, found.lost)
        await reactions.worked(channel.name)
        if grant.tries_quota and not found.lost:
            await self._services.ledger.spending.works(buckets)
        if grant.probation and not found.lost:
            await self._services.ledger.passed_probation(channel.name)
        return None

    async def _send(
        self,
        grant: Grant,
        asked: Mapping[int, Asked],
        buckets: Sequence[Bucket],
        token: AccessToken | None,
        marked_s: float,
    ) -> Consequences:
        """Send the granted rows at once and record what came back, whatever came back. `marked_s`:
        on the loop's clock.
        """
        services, connection, loop = self._services, self._connection, asyncio.get_running_loop()
        may_read = token is not None and self._look_ups.may_read(connection, token)
        asked = {row.index: asked[row.index].granted(row.attempt, silent=row.silent) for row in grant.rows}
        calls = self._operation.build(list(asked.values()), connection, self._lease.options)
        begun = services.begun.add(connection.client_key, len(calls))
        exchange = await carry(services, self._lease, connection, token, calls, marked_s, may_read=may_read)
        elapsed_s = loop.time() - marked_s
        bind(client_request_id=exchange.client_request_id)
        services.clocks.learn_graph(connection.graph_url, exchange.server_date)
        if exchange.status:
            services.latencies.learn(connection.name, exchange.elapsed_s)
        services.meters.batch(connection.name, len(grant.rows), exchange.elapsed_s)
        services.meters.answers(connection.name, self._operation.name, exchange.answers.values())
        judge, answers = self._operation.judge, exchange.answers
        verdict_of = {row: judge(asked[row], call, answers[call.request.id]) for call in calls for row in call.rows}
        verdicts = [verdict_of[row.index] for row in grant.rows]
        verdicts = blame(self._operation.rules, verdicts, token.roles if token else None)
        judged, outcomes = self._end(grant, asked, verdicts, exchange.client_request_id, may_read=may_read)
        refusals = Refusals(connection.refusals_in_a_row, connection.refused_share, mark_refusals(judged))
        await self._comparing.remember(asked, outcomes)
        await self._record(grant.batch, outcomes, refusals)
        await self._comparing.take_back(asked, outcomes)
        if (used := read_used(exchange.answers.values())) is not None:
            await services.ledger.spending.show_used(
                shown_buckets(services.settings(), connection, buckets),
                used,
                begun_since=services.begun.since(connection.client_key, begun, buckets[0].cost),
                elapsed_s=loop.time() - marked_s,
            )
        later = (Kind.LATER, Kind.IN_DOUBT) if self._operation.looks_in_bin else (Kind.LATER,)
        self._aside |= {
            row.index: Stop(Rest.LATER, one.verdict.retry_after_s or _BUSY_S)
            for row, one in zip(grant.rows, judged, strict=True)
            if one.verdict.kind in later
        }
        self._known |= any(verdict.cause != NOT_THERE_YET for verdict in verdicts)
        self._wait_together(list(asked))
        found = sum_up(judged)
        found.begun, found.elapsed_s = begun, elapsed_s
        return found

    def _end(
        self,
        grant: Grant,
        asked: Mapping[int, Asked],
        verdicts: Sequence[Verdict],
        client_request_id: str,
        *,
        may_read: bool,
    ) -> tuple[list[Judged], list[Outcome]]:
        """Say of each granted row what its verdict speaks of, and what is kept of it."""
        operation, connection, options = self._operation, self._connection, self._lease.options
        now_ms = self._services.clocks.redis_ms()
        look_after_s = min(FIRST_LOOK_S, self._services.ledger.settle_s / 4)
        told, doubts, shown = operation.tell_done(now_ms), not operation.repeatable, operation.shown
        judged, outcomes = [], []
        for granted, verdict in zip(grant.rows, verdicts, strict=True):
            one = asked[granted.index]
            if verdict.kind is Kind.RETRY and verdict.cause == NOT_THERE_YET:
                later = wait_or_end(one.index, one.row, now_ms)
                if isinstance(later, Stop):
                    self._aside[one.index] = later
                else:
                    verdict = replace(verdict, kind=Kind.FAILED, code=later.code, message=later.message)
            judged.append(Judged(one.row["email"], verdict, one.target.id if one.target else ""))
            outcomes.append(
                build_outcome(
                    granted.index,
                    granted.attempt,
                    verdict,
                    mail=operation.mail(one.row, connection, options, silent=granted.silent),
                    silent=granted.silent,
                    doubts=doubts,
                    shown=shown,
                    told=told,
                    may_read=may_read,
                    look_after_s=look_after_s,
                    request_id=client_request_id,
                    at_ms=now_ms,
                )
            )
        return judged, outcomes

    async def _record(self, batch: int, outcomes: Sequence[Outcome], refusals: Refusals | None = None) -> None:
        await self._recording.record(batch, outcomes, self._index, refusals)

    async def _end_refused(self) -> None:
        """End the rows of domains and targets that the tenant refuses as a whole."""
        if not self._refused:
            return
        job, now_ms = self._lease.ticket.job, self._services.clocks.redis_ms()
        verdicts = {i: self._refused.find(job, one) for i, one in self._ask_for(self._lease.pending()).items()}
        if outcomes := [build_skip(i, verdict, now_ms) for i, verdict in verdicts.items() if verdict]:
            await self._record(0, outcomes)

    def _ask_for(self, indexes: Sequence[int]) -> dict[int, Asked]:
        """Return rows as they are asked for now."""
        lease, users, unsure = self._lease, self._looked.users, self._looked.unsure
        rows, letters, attempts, silent = lease.rows, lease.letters, lease.attempts, RowState.PENDING_SILENT
        along, links, targets = self._along, self._links, self._comparing.targets
        return {
            i: Asked(  # by place: names would make it twice as dear, and there is one for every row
                i,
                rows[i],
                users.get(i),
                letters[i] == silent,
                targets.get(rows[i].get("target") or "") if targets else None,
                int(attempts[i]),
                i in unsure,
                along.get(i, ()),
                links.get(i, ""),
            )
            for i in indexes
        }
