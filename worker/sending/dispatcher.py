"""The dispatcher, a small loop of each worker, turns what is due in the ledger into messages, never
more than seats are free.

It ticks on its own timer, whenever a task ends, and when the ledger says that something becomes
due. It lives on the worker's event loop rather than on Celery's timer, so that a slow Redis or
broker never stalls the consumer; publishing, which blocks, has a thread.
https://docs.celeryq.dev/en/stable/userguide/extending.html
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from worker.cancellation import end_task
from worker.errors import LedgerTooNew
from worker.ledger.model import Ticket
from worker.ledger.offers import MOST_OFFERS, Tick
from worker.ledger.programs.running_programs import describe_self, say
from worker.sending.credential_ends import note_certificates
from worker.sending.handover import Handover, Offer
from worker.sending.notifier import Notifier
from worker.sending.publisher import Publisher
from worker.services import Services
from worker.store.client import OUTAGE, STOP_AT, read_memory, read_time_ms

log = logging.getLogger(__name__)

IDLE_S = 0.5
"""Ticks at least this often: what another process put into the ledger is seen this soon. 2 calls a
second on an idle worker.
"""
_SOON_S = 0.005  # at most 200 ticks a second, whatever is due
_AWAY_S = 1.0
_TOO_NEW_S = 10.0
_HOUSEKEEPING_S = 5.0
_CERTIFICATES_S = 600.0


class Dispatcher:
    """A worker has one dispatcher."""

    def __init__(self, services: Services, worker: str, seats: int, publisher: Publisher) -> None:
        self._services = services
        self._worker = worker
        self._seats = seats
        self._publisher = publisher
        self._wake = asyncio.Event()
        self._handover = Handover()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._full = False
        self._certificates_at_s = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="usher-publish")

    def start(self) -> None:
        """Begin ticking."""
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.create_task(self._run(), name="usher-dispatcher")
            self._telling = asyncio.create_task(Notifier(self._services).run(), name="usher-notices")

    def wake(self) -> None:
        """Tick now, for something happened. From the loop's own thread only."""
        self._wake.set()

    async def next_of(self, job: str) -> Ticket | None:
        """Return an offer of a job that the next tick makes, for a seat that has just ended a chunk
        of it; None: it has none for it.
        """
        if self._task is None:
            return None
        self._wake.set()
        return await self._handover.wait(job)

    def leave(self) -> None:
        """Offer for this worker's seats no more; ticking goes on. From any thread.

        A worker that shuts down still consumes for up to a second: what its chunks give back is for
        others.
        """
        self._seats = 0
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it is closed: nobody waits there
                loop.call_soon_threadsafe(self._handover.dismiss)

    async def stop(self) -> None:
        """Stop ticking and give up this worker's seats."""
        if self._telling is not None:
            await end_task(self._telling)
            self._telling = None
        if self._task is not None:
            await end_task(self._task)
            self._task = None
            self._handover.dismiss()
            with suppress(*OUTAGE, LedgerTooNew):
                await self._services.ledger.offers.tick(self._worker, 0)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        away = too_new = False
        housekeeping_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            wait_s = _AWAY_S
            self._services.settings()  # looks whether a file has changed, also where nothing is to be done
            try:
                tick, offers = await self._tick()
                # A full server is asked no more often than an idle one, whatever is due
                wait_s = IDLE_S if tick.next_s is None or self._full else min(IDLE_S, max(_SOON_S, tick.next_s))
                self._report(tick)
                await self._services.meters.push_if_due(self._services.client, self._services.keys, loop.time())
                if offers:
                    await loop.run_in_executor(self._thread, self._publisher.send_offers, offers)
                if loop.time() >= housekeeping_at:
                    housekeeping_at = loop.time() + _HOUSEKEEPING_S
                    await self._keep_house()
                if away:
                    away = False
                    log.info("Redis is back")
            except OUTAGE as error:
                if not away:
                    away = True
                    log.warning("Redis is away (%s); nothing is offered until it is back", type(error).__name__)
            except LedgerTooNew as error:
                if not too_new:
                    too_new = True
                    log.error("%s This worker leaves it alone until it is upgraded.", error)
                wait_s = _TOO_NEW_S
            except Exception:
                # What goes wrong in one tick (a broker that is down) must not end all of them;
                # unclaimed offers are made again.
                log.exception("a tick failed; the next one follows")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait_s)

    async def _tick(self) -> tuple[Tick, list[Offer]]:
        """Ask the ledger for what is due, and hand its offers to the seats that wait. Returns what
        it said, and the offers that are left.
        """
        waiting = self._handover.waiting()  # whoever comes during the tick may have freed its seat too late for it
        try:
            tick = await self._services.ledger.offers.tick(
                self._worker, self._seats, most=0 if self._full else MOST_OFFERS
            )
            return tick, self._handover.pass_on(tick.offers)
        finally:  # also where it failed: a seat never waits for a server
            self._handover.dismiss(waiting)

    async def _keep_house(self) -> None:
        services = self._services
        await self._look_for_room()
        asked_s = services.clocks.now()
        now_ms = await read_time_ms(services.client)
        services.clocks.learn_redis(now_ms, asked_s)
        await services.key_hold.look()
        program = describe_self("worker", self._worker, services.settings(), services.problem())
        await say(services.client, services.keys, program, now_ms)
        mended = await services.ledger.offers.heal()
        if mended:
            log.warning("%d entries of the ledger's lists did not fit its rows and were put right", mended)
        await services.jobs.expire_ended()
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._certificates_at_s:
            self._certificates_at_s = now_s + _CERTIFICATES_S
            await note_certificates(services)
        for job in await services.jobs.remove_abandoned():
            log.info(
                "job %s: whoever was loading it has gone, so it was removed; nothing of it was sent",
                job,
                extra={"job": job},
            )

    async def _look_for_room(self) -> None:
        """Stop offering while Redis is nearly full: what is on the wire must still find room for
        its outcomes.
        """
        memory = await read_memory(self._services.client)
        full = memory.is_beyond(STOP_AT)
        if full and not self._full:
            log.warning(
                "Redis is nearly full (%d MB of %d MB): nothing more is sent until it has room; raise its maxmemory or"
                " delete old jobs",
                memory.used >> 20,
                memory.most >> 20,
            )
        elif self._full and not full:
            log.info("Redis has room again; sending goes on")
        self._full = full

    def _report(self, tick: Tick) -> None:
        if tick.lost_leases:
            self._services.meters.add("leases_lost", by=tick.lost_leases)
            log.warning("%d leases ended without their worker; their chunks are offered again", tick.lost_leases)
        if tick.unclaimed:
            self._services.meters.add("offers_again", by=tick.unclaimed)
            log.info("%d offers found no worker in time and are made again", tick.unclaimed)
