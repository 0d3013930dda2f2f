"""The runner claims an offered chunk, works on it as long as it goes, and gives the rest back.

A chunk that cannot go on (no token, gate closed, quota spent) is given back at once: a seat never
waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from worker.channels import split_channel
from worker.directory.lookups import LookUps
from worker.errors import SealError
from worker.ledger.approval import explain
from worker.ledger.model import Lease, Ticket
from worker.ledger.stages import is_stage, split_stage
from worker.ledger.why_waiting import WORDS, Rest, Stop, describe_run
from worker.logs import bound
from worker.operations.operation import Channel
from worker.operations.registry import find_operation
from worker.sending.chunk_run import ChunkRun
from worker.sending.leases import Leases
from worker.sending.reactions import Reactions
from worker.sending.refused_wholes import RefusedWholes
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.services import Services

log = logging.getLogger(__name__)

NextOf = Callable[[str], Awaitable[Ticket | None]]
"""Gives a job's next offer to a seat that asks for one; None: there is none for it now
(`dispatcher.Dispatcher.next_of`).
"""
LEASE_MAX_S = 280.0
"""A chunk is given back after this long, below the five minutes for which a lease may be
renewed.
"""
RUNS_FOR_S = 5.0
"""So long a seat takes its job's next chunks without a message: Flower hears of a task when it
ends, and a stop waits for none.
"""
_BROKEN_S = 60.0  # a chunk that fails in a way nobody thought of is not tried, and logged, without pause
_NOT_RUN = "this offer is void or was claimed before"
_VOID = {"not_run": _NOT_RUN}
_UNKNOWN_CONNECTION_S = 10.0  # until a worker that knows it may have come


class ChunkRunner:
    """A runner runs chunks in one process. `stopping` is asked between batches: a warm shutdown
    ends after the batch in flight.
    """

    def __init__(
        self, services: Services, leases: Leases, reactions: Reactions, look_ups: LookUps, stopping: Callable[[], bool]
    ) -> None:
        self._services = services
        self._leases = leases
        self._reactions = reactions
        self._look_ups = look_ups
        self._stopping = stopping
        self._refused = RefusedWholes()

    async def run(self, ticket: Ticket, next_of: NextOf | None = None) -> dict[str, Any]:
        """Claim an offered chunk and run it as far as it goes, then those of its job that `next_of`
        offers to this seat.

        Returns their counts, for Flower; nothing about anybody. An offer that is void, or was
        claimed before, is a no-op: its message came late, or twice.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + RUNS_FOR_S
        done = await self._run(ticket)
        result, runs = {**_place_of(ticket), **done}, 1
        while next_of is not None and _ended_whole(done) and not self._stopping() and loop.time() < until_s:
            offered = await next_of(ticket.job)
            done = await self._run(offered) if offered is not None else _VOID
            if "not_run" not in done:
                _add(result, done)
                runs += 1
        return {**result, "runs": runs} if runs > 1 else result

    async def _run(self, ticket: Ticket) -> dict[str, Any]:
        with bound(**_place_of(ticket)):
            return await self._claim_and_work(ticket)

    async def _claim_and_work(self, ticket: Ticket) -> dict[str, Any]:
        lease = await self._services.ledger.claim(ticket)
        if lease is None:
            log.info("job %s chunk %d: %s", ticket.job, ticket.chunk + 1, _NOT_RUN)
            return _VOID
        began_s = asyncio.get_running_loop().time()
        stop: Stop | None = Stop(Rest.REDIS, 1.0)
        tally: Counter[str] = Counter()
        self._leases.add(lease)
        try:
            stop = await self._work(lease, tally, began_s + LEASE_MAX_S)
        except OUTAGE as error:
            log.warning(
                "job %s chunk %d: Redis is away (%s); its rows wait", ticket.job, ticket.chunk + 1, type(error).__name__
            )
        except Exception:
            stop = Stop(Rest.BROKEN, 1.0, put_off_s=_BROKEN_S)
            raise
        finally:
            self._leases.remove(lease)
            await self._give_back(lease, stop)
        counts = dict(sorted(tally.items()))
        took_s = asyncio.get_running_loop().time() - began_s
        rest = stop.describe() if stop and lease.pending() else ""
        words = describe_run(", ".join(f"{count} {word}" for word, count in counts.items()), rest)
        log.info(
            "job %s chunk %d of %d, %s, in %.1f s: %s",
            ticket.job,
            ticket.chunk + 1,
            lease.chunks,
            ticket.connection,
            took_s,
            words,
            extra={"chunks": lease.chunks, "counts": counts, "took_s": round(took_s, 3)},
        )
        return {"chunks": lease.chunks, **counts, **({"rest": rest} if rest else {})}

    async def _work(self, lease: Lease, tally: Counter[str], deadline_s: float) -> Stop | None:
        channel = self._channel(lease.ticket.connection)
        if channel is None:
            return Stop(Rest.UNKNOWN, _UNKNOWN_CONNECTION_S)
        if channel.connection.require_approval and not await self._may_run(lease.ticket):
            return Stop(Rest.APPROVAL)
        resolved = await self._reactions.resolve(channel.connection)
        if isinstance(resolved, Stop):
            return resolved
        if not self._services.is_of_tenant(lease.tenant, resolved.name):
            return await self._reactions.hold_job_of_another_tenant(lease.ticket.job, resolved.name)
        loop = asyncio.get_running_loop()
        try:
            run = ChunkRun(
                self._services,
                lease,
                replace(channel, connection=resolved),
                reactions=self._reactions,
                look_ups=self._look_ups,
                refused=self._refused,
                tally=tally,
            )
            stop = await run.work(lambda: not self._stopping() and loop.time() < deadline_s)
        except ConfigError as error:
            log.warning("job %s waits for a newer worker (%s)", lease.ticket.job, error)
            return Stop(Rest.UNKNOWN, _UNKNOWN_CONNECTION_S)
        except SealError as error:
            return Stop(Rest.GATE, await self._services.key_hold.met(error))
        return Stop(Rest.STOPPING) if stop and stop.why is Rest.LONG and self._stopping() else stop

    async def _may_run(self, ticket: Ticket) -> bool:
        """Whether a job is approved; one that is not is held, wherever it was submitted."""
        view = await self._services.jobs.view(ticket.job)
        if view is None:
            return False
        (root, _), (connection, _) = split_stage(ticket.job), split_channel(ticket.connection)
        return await self._services.jobs.park(ticket.job, explain(root, connection, view.info))

    def _channel(self, name: str) -> Channel | None:
        try:
            connection, operation = split_channel(name)
            return Channel(self._services.connection(connection), find_operation(operation))
        except ConfigError as error:
            log.warning(
                "connection %s is not configured in this worker; its rows wait for one that knows it (%s)", name, error
            )
            return None

    async def _give_back(self, lease: Lease, stop: Stop | None) -> None:
        stop = stop or Stop(Rest.NOTHING)
        try:
            if is_stage(lease.ticket.job):
                is_told = stop.why in (Rest.DIRECTORY, Rest.LATER)
                await self._services.jobs.note_wait(lease.ticket.job, WORDS[stop.why] if is_told else "")
            await self._services.ledger.release(lease, stop.wait_s, stop.put_off_s)
        except OUTAGE:
            log.warning(
                "job %s chunk %d was not given back; its lease ends by itself", lease.ticket.job, lease.ticket.chunk + 1
            )


def _place_of(ticket: Ticket) -> dict[str, Any]:
    return {"job": ticket.job, "chunk": ticket.chunk + 1, "connection": ticket.connection}


def _ended_whole(done: dict[str, Any]) -> bool:
    """Whether a chunk ran and left nothing: what stopped one that did would stop the next."""
    return "not_run" not in done and "rest" not in done


def _add(result: dict[str, Any], done: dict[str, Any]) -> None:
    """Add the counts of another chunk of the same job, and what it left."""
    for word, value in done.items():
        is_count = isinstance(value, int) and word != "chunks"
        result[word] = result.get(word, 0) + value if is_count else value
