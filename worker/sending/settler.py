"""The settler finds out of rows in doubt whether they were done: it asks the directory, where the
app may read it, and sends nothing.

Seen, and created at or after the row's first attempt (on Graph's clock): invited. Created before
it: judged as before a first send (`invite_precheck.py`). Not seen, and `settle_s` past the last
attempt: it is sent again. Where nobody may look, `on_doubt` decides; unless told otherwise a person
is told. So it does where a guest of before was mailed again on purpose (`--resend`): that they are
there says nothing then.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from worker.addresses import guest_of
from worker.channels import split_channel
from worker.directory.lookups import Found, LookUps, WhyNot
from worker.errors import SealError, TokenUnavailable
from worker.graph.users import MOST_ADDRESSES
from worker.ledger.doubts import DoubtfulRow
from worker.ledger.model import Lane, Options, Outcome, RowState, Ticket
from worker.logs import bound
from worker.operations.operation import Asked, Attempt, Channel, word_of
from worker.operations.registry import find_operation
from worker.operations.stages import Chain
from worker.sending.leases import Leases
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.services import Services

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 10.0
_COME_IN_S = 0.5  # until the workers that are coming back are asked for again


class Settler:
    """A settler looks up the rows of one channel that are due; one process at a time does so (the
    ticket's lease).
    """

    def __init__(self, services: Services, leases: Leases, look_ups: LookUps) -> None:
        self._services = services
        self._leases = leases
        self._look_ups = look_ups

    async def run(self, ticket: Ticket) -> dict[str, Any]:
        """Settle what is due. Returns counts."""
        with bound(connection=ticket.connection):
            return await self._run(ticket)

    async def _run(self, ticket: Ticket) -> dict[str, Any]:
        ledger = self._services.ledger
        lease = await ledger.claim(ticket)
        if lease is None:
            return {"connection": ticket.connection, "not_run": "this offer is void or was claimed before"}
        self._leases.add(lease)
        counts: dict[str, int] = defaultdict(int)
        try:
            name, operation = split_channel(ticket.connection)
            channel = Channel(await self._services.resolved(name), find_operation(operation))
            doubtful = await ledger.doubts.claim(ticket.connection, MOST_ADDRESSES)
            if doubtful is None:
                await ledger.doubts.end_look_up(ticket.connection, _COME_IN_S)
                return {"connection": ticket.connection}
            if doubtful:
                await self._settle(channel, doubtful, counts)
            # Not where anything went wrong: the rows would be due at once, again and again. The
            # offer has set a later time.
            await ledger.doubts.end_look_up(ticket.connection)
        except TokenUnavailable as error:
            log.warning("connection %s: looking up rows in doubt waits (%s)", ticket.connection, error)
        except SealError as error:
            await self._services.key_hold.met(error)
        except OUTAGE as error:
            log.warning(
                "connection %s: looking up rows in doubt waits for Redis (%s)", ticket.connection, type(error).__name__
            )
        except ConfigError as error:
            log.warning(
                "connection %s is not configured in this worker; its rows in doubt wait (%s)", ticket.connection, error
            )
        finally:
            self._leases.remove(lease)
            with suppress(*OUTAGE):  # its lease ends by itself
                await ledger.release(lease)
        if counts:
            words = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
            log.info("connection %s, rows in doubt: %s", ticket.connection, words, extra={"counts": dict(counts)})
        return {"connection": ticket.connection, **counts}

    async def _settle(self, channel: Channel, doubtful: list[DoubtfulRow], counts: dict[str, int]) -> None:
        by_chunk: dict[tuple[str, int], list[DoubtfulRow]] = defaultdict(list)
        for row in doubtful:
            by_chunk[row.job, row.chunk].append(row)
        found_chunks = {place: await self._services.ledger.doubts.rows_of(*place) for place in by_chunk}
        chunks = {place: chunk for place, chunk in found_chunks.items() if chunk is not None}
        addresses = {guest_of(chunk.rows[r.index]) for place, chunk in chunks.items() for r in by_chunk[place]}
        looked_at_ms = self._services.clocks.redis_ms()  # before: a slow answer may be as old as this
        operation, connection = channel.operation, channel.connection
        looks = operation.shown and not operation.repeatable
        more = (Lane.BULK, operation.reads) if operation.reads else ()
        found = await self._look_ups.find(connection, sorted(addresses), *more) if looks else Found({})
        for place, chunk in chunks.items():
            is_here = self._services.is_of_tenant(chunk.tenant, connection.name)
            seen = found if is_here else Found({}, WhyNot.LATER)  # another tenant's answers say nothing
            outcomes = [
                self._judge(
                    channel, chunk.rows[r.index], int(chunk.attempts[r.index]), chunk.options, r, seen, looked_at_ms
                )
                for r in by_chunk[place]
            ]
            emails = {r.index: chunk.rows[r.index]["email"] for r in by_chunk[place]}
            index = await self._services.index.place(connection.tenant_key, emails) if looks else None
            chain = Chain.of(
                *(*place, chunk.base, chunk.options, chunk.stages, chunk.packed),
                suspect=chunk.suspect,
                invites=operation.invites,
            )
            chained = chain.tell(chunk.rows, outcomes)
            await self._services.ledger.record_look_up(*place, channel.name, chunk.lane, outcomes, index, chained)
            for outcome in outcomes:
                counts[_WORDS.get(outcome.letter) or word_of(outcome.letter, operation)] += 1

    def _judge(
        self,
        channel: Channel,
        row: dict[str, Any],
        attempt: int,
        options: Options,
        doubt: DoubtfulRow,
        found: Found,
        looked_at_ms: int,
    ) -> Outcome:
        """Decide one row. Total: whatever is known, it gets an outcome or a time to look again."""
        services, operation = self._services, channel.operation
        connection = channel.settled(options).connection
        now_ms = services.clocks.redis_ms()
        settle_s = services.ledger.settle_s
        settled_in_s = settle_s - services.clocks.age_s(doubt.attempted_at_ms, looked_at_ms)

        def end(letter: RowState, **more: Any) -> Outcome:
            return Outcome(
                doubt.index, letter, attempts=attempt, at_ms=now_ms, attempted_at_ms=doubt.attempted_at_ms, **more
            )

        if operation.repeatable:
            return end(RowState.PENDING)
        if not operation.shown:
            if settled_in_s > 0:  # whoever sent it may still be heard
                return end(RowState.IN_DOUBT, wait_s=settled_in_s)
            return end(RowState.LEFT_IN_DOUBT, code="answer_lost", message=operation.explain_doubt(None))
        why_not = found.why_not_of(guest_of(row))
        user = (found.users or {}).get(guest_of(row))
        if user is None and why_not is WhyNot.LATER:
            return end(RowState.IN_DOUBT, wait_s=min(_LOOK_AGAIN_S, settle_s / 4))
        times_ms = (doubt.first_at_ms, doubt.attempted_at_ms)  # the first may not be known any more: then it is now
        attempted_s = min(services.clocks.graph_time(connection.graph_url, at_ms) for at_ms in times_ms)
        done = end(RowState.DONE, mail=operation.mail(row, connection, options))
        outcome = operation.judge_seen(Asked(doubt.index, row, user), options, Attempt(attempted_s, done))
        if outcome is not None:
            return replace(outcome, at_ms=now_ms)
        if settled_in_s > 0:
            return end(RowState.IN_DOUBT, wait_s=settled_in_s)
        letter = operation.resolve_unshown(row, user, connection, looked=why_not is None)
        if letter is not RowState.LEFT_IN_DOUBT:
            return end(letter)
        user_id = user.id if user else ""
        return end(letter, code="answer_lost", message=operation.explain_doubt(user), user_id=user_id)


_WORDS = {
    RowState.PENDING: "to_be_sent_again",
    RowState.PENDING_SILENT: "to_be_sent_again",
    RowState.IN_DOUBT: "to_be_looked_up_again",
    RowState.LEFT_IN_DOUBT: "left_in_doubt",
}
