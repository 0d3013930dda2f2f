"""A Celery worker starts and stops the dispatcher too, and at a warm shutdown tells the chunks in
work to end.

A terminal that ends (SIGHUP) asks for a warm shutdown too. Celery itself would run `sys.argv`
again, which is no program where the worker is `python -m celery`, or would die at once where its
output is the terminal; and neither heeds `nohup`.

Here too Celery is told to take messages in through `worker.process.consumer`.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from celery.worker import state

from worker.process.guest_wait import waiting
from worker.process.liveness import VARIABLE, ProbeFile
from worker.process.scheduled_runs import most_runs_of, runs
from worker.queues import seats_of
from worker.sending.publisher import Publisher

log = logging.getLogger(__name__)

_IS_NOHUP = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # read before Celery's handlers

_LAST_ANSWERS_S = 30.0
"""Above `[graph].timeout_s`. A cold shutdown does not wait; those rows are looked up."""


def register(app: Celery) -> None:
    """Add the dispatcher, the intake and the end by SIGHUP to the app's workers."""
    app.steps["worker"].add(Hangup)
    app.steps["consumer"].add(Dispatching)
    app.add_defaults({"worker_consumer": "worker.process.consumer:Intake"})


class Hangup(bootsteps.StartStopStep):
    """Takes SIGHUP once Celery has set up its handlers, which is before the first connection to the
    broker.
    """

    def start(self, parent: Any) -> None:
        """Do at SIGHUP what SIGTERM does, unless whoever started the worker ignores it."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN if _IS_NOHUP else signal.getsignal(signal.SIGTERM))


class Dispatching(bootsteps.StartStopStep):
    """Ticks while the worker consumes: from each (re)connection to the broker until it is lost or
    the worker ends.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Begin offering, with as many seats as the pool has threads to spare."""
        from worker.process.runtime import runtime

        threads = int(parent.pool.num_processes)
        seats = seats_of(threads)
        waiting.places = max(1, threads // 2)
        runs.places = most_runs_of(threads)
        _look_for_garbage_seldom()
        runtime.start_dispatcher(str(parent.hostname), seats, Publisher(parent.app))

    def stop(self, parent: Any) -> None:
        """Stop offering; what is in work goes on."""
        from worker.process.runtime import runtime

        runtime.stop_dispatcher()


def _look_for_garbage_seldom() -> None:
    """Let the collector pass over what was imported, and look less often: a batch makes many values
    and no cycles; it took 7 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@worker_init.connect(weak=False)
def _show_life(**_: Any) -> None:
    """Where a probe wants to see it: from before the first connection, so that a broker that is
    away is no death.
    """
    from worker.process.runtime import runtime

    if path := os.environ.get(VARIABLE):
        probe_file = ProbeFile(Path(path), runtime.answers)
        probe_file.start()
        worker_shutdown.connect(lambda **_: probe_file.stop(), weak=False)


@worker_shutting_down.connect(weak=False)
def _stop_after_batches(**_: Any) -> None:
    """Warm shutdown: each chunk ends after the batch in flight and is given back."""
    from worker.process.runtime import runtime

    runtime.begin_to_stop()


@worker_shutdown.connect(weak=False)
def _close(**_: Any) -> None:
    """Last of all. A guest whose producer has its `pending` already may still be on the wire: its
    answer is worth the wait.
    """
    from worker.process.runtime import runtime

    cold = state.should_terminate is not None and state.should_terminate is not False  # 0 is an exit status
    if waiting.busy and not cold:
        runtime.run(waiting.finish(_LAST_ANSWERS_S))
    runtime.close()
