"""One bridge leads from Celery's threads to the event loop: a loop in a thread of its own, opened
at first use, closed in reverse.

Everything a worker does happens in this one loop; a Celery thread only waits in `run`. So a seat
costs a thread that sleeps, and one session, one token source and one ledger serve them all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import suppress
from dataclasses import dataclass
from socket import gethostname
from typing import Any, TypeVar

from worker.directory.lookups import LookUps
from worker.ledger.erasing import rewrite
from worker.ledger.model import Ticket
from worker.ledger.programs.token_need import TokenNeed, note_once
from worker.process.configuration_faults import ConfigurationFaults
from worker.process.epochs import Epochs
from worker.sending.dispatcher import Dispatcher
from worker.sending.leases import Leases
from worker.sending.publisher import Publisher
from worker.sending.reactions import Reactions
from worker.sending.runner import ChunkRunner
from worker.sending.seat_wait import SeatWait
from worker.sending.settler import Settler
from worker.services import Services, open_services
from worker.store.client import OUTAGE

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_CLEAN_UP_S = 5.0
_LOOK_EVERY_S = 1.0  # at the configuration, and at the private server's supervisor


@dataclass(slots=True)
class Parts:
    """What lives in the loop."""

    services: Services
    leases: Leases
    runner: ChunkRunner
    settler: Settler


class Runtime:
    """A process's loop and what lives in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts: Parts | None = None
        self._closing: asyncio.Event | None = None
        self._dispatcher: Dispatcher | None = None
        self._seat_wait: SeatWait | None = None
        self.stopping = False

    @property
    def parts(self) -> Parts:
        """What lives in the loop, opened now if it was not yet."""
        self._open()
        if self._parts is None:
            raise RuntimeError("the worker's event loop is closed")
        return self._parts

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the loop and wait for it. Left by an exception (a shutdown), it is
        cancelled first.

        Otherwise the abandoned coroutine would go on inside the next task.
        """
        self._open()
        if self._loop is None:
            work.close()
            raise RuntimeError("the worker's event loop is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                with suppress(TimeoutError, FutureCancelled, Exception):
                    future.result(_CLEAN_UP_S)
            raise

    def start_dispatcher(self, worker: str, seats: int, publisher: Publisher) -> None:
        """Begin offering chunks for this worker's seats."""
        self.stop_dispatcher()
        services = self.parts.services
        if self._seat_wait is not None:
            self._seat_wait.seats = seats

        async def start() -> Dispatcher:
            dispatcher = Dispatcher(services, worker, seats, publisher)
            dispatcher.start()
            return dispatcher

        self._dispatcher = self.run(start())

    def begin_to_stop(self) -> None:
        """Let each chunk end after the batch in flight, and offer no others. From any thread, a
        signal's handler too.
        """
        self.stopping = True
        if (dispatcher := self._dispatcher) is not None:
            dispatcher.leave()

    def stop_dispatcher(self) -> None:
        """Stop offering."""
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            self.run(dispatcher.stop())

    def answers(self, within_s: float) -> bool:
        """Whether the loop turns; one that was not needed yet is no sign of trouble. From any
        thread but the loop's.
        """
        loop = self._loop
        if loop is None:
            return True
        turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
        try:
            turn.result(within_s)
        except TimeoutError:
            return False
        except FutureCancelled:
            return True  # it is being closed
        return True

    async def next_of(self, job: str) -> Ticket | None:
        """Return a job's next offer, if this process's dispatcher makes one now. In the loop."""
        dispatcher = self._dispatcher
        return await dispatcher.next_of(job) if dispatcher is not None and not self.stopping else None

    def wake(self) -> None:
        """A task ended: a seat is free. From any thread."""
        dispatcher, loop = self._dispatcher, self._loop
        if dispatcher is not None and loop is not None:
            loop.call_soon_threadsafe(dispatcher.wake)

    def close(self) -> None:
        """Close everything, last opened first."""
        self.stop_dispatcher()
        with self._lock:
            thread, loop, closing = self._thread, self._loop, self._closing
            self._thread = None
        if thread is not None and loop is not None and closing is not None:
            loop.call_soon_threadsafe(closing.set)
            thread.join(_CLEAN_UP_S * 2)

    def _open(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            ready = threading.Event()
            failures: list[BaseException] = []
            self._thread = threading.Thread(target=self._serve, args=(ready, failures), name="usher-loop", daemon=True)
            self._thread.start()
            ready.wait()
            if failures:
                self._thread = None
                raise failures[0]

    def _serve(self, ready: threading.Event, failures: list[BaseException]) -> None:
        try:
            asyncio.run(self._live(ready))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that opens; nobody else would see it
            failures.append(error)
        finally:
            self._loop = self._parts = None
            ready.set()

    async def _live(self, ready: threading.Event) -> None:
        from worker.process.process_settings import find_process_settings
        from worker.stack.attachment import keep_server

        own = await asyncio.to_thread(find_process_settings)
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        faults = ConfigurationFaults(own.problem, own.settings)
        opened = open_services(
            own.settings, own.redis_url, actor=f"usher worker on {gethostname()}", problem=own.problem
        )
        async with opened as services:
            leases, reactions = Leases(services.ledger), Reactions(services)
            self._seat_wait = reactions.seat_wait
            look_ups = LookUps(services, reactions)
            self._parts = Parts(
                services,
                leases,
                ChunkRunner(services, leases, reactions, look_ups, lambda: self.stopping),
                Settler(services, leases, look_ups),
            )
            epochs = Epochs(services.ledger, private=own.private)
            epochs.start()
            need = TokenNeed(services.client, services.keys)
            await note_once(need, own.settings())  # before the first message
            ready.set()
            while not self._closing.is_set():
                faults.look()
                await note_once(need, own.settings())
                if own.private:
                    await asyncio.to_thread(keep_server)
                    with suppress(*OUTAGE):
                        await rewrite(services.client, services.keys)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), _LOOK_EVERY_S)
            await leases.close()
            await epochs.close()
            with suppress(*OUTAGE):  # what the last chunks counted
                await services.meters.push(services.client, services.keys)


runtime = Runtime()
"""This process's. A module-level value because Celery's tasks find it by import; opened by the
first task or by the bootstep.
"""
