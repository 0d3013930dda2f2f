"""A worker notices that Redis is not the one it was, or that nobody was here for a while, and comes
in to the new epoch.

Each worker says once a second that it is here (`scripts/epoch.lua`). Where the server is another
one (restarted, failed over, restored), it first writes again what it did last
(`worker/ledger/programs/journal.py`); only when all who were at work have done so, or nothing of
theirs can be unseen any more, is anything sent. `begin_batch` asks the server itself who it is, so
nothing leaves before this was noticed. docs/decisions/0006-epochs.md
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress

from worker.cancellation import end_task
from worker.ledger.batches import Ledger
from worker.store.client import OUTAGE

log = logging.getLogger(__name__)

_BEAT_S = 1.0
RESTORED_S = 900.0
"""A ledger last used longer ago than this by workers that did not say goodbye, and that no worker
remembers, is taken for a restored one: longer than a host takes to start again, shorter than
anybody takes to restore a backup.
"""

HELD_AS_RESTORED = (
    "Redis holds an older state of the ledger than workers have seen or can vouch for (restored from a backup?), so"
    " guests may have been invited that it does not know of, and nothing is sent: whoever runs usher runs `usher jobs"
    " verify`, which looks up every open row."
)


class Epochs:
    """One process's part in it. `private`: on the private server, which nobody restores behind a
    worker's back.
    """

    def __init__(self, ledger: Ledger, *, private: bool = False) -> None:
        self._heartbeat = ledger.heartbeat
        self._private = private
        self._process = secrets.token_hex(8)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Be here from now on."""
        self._task = asyncio.create_task(self._beat_for_ever(), name="usher-epochs")

    async def close(self) -> None:
        """Say goodbye: nothing of this process is on the way any more."""
        if self._task is not None:
            await end_task(self._task)
            self._task = None
            with suppress(*OUTAGE):
                await self._heartbeat.say_goodbye(self._process)

    async def beat(self) -> None:
        """Say that this process is here; in a new epoch, write its own again and come in. Raises
        redis-py's outages.
        """
        heartbeat = self._heartbeat
        restored_s = 0.0 if self._private else RESTORED_S
        beat = await heartbeat.beat(self._process, restored_s=restored_s, why=HELD_AS_RESTORED)
        if beat.begins == "server":
            # The private server comes and goes with its last user
            log.log(
                logging.INFO if self._private else logging.WARNING,
                "Redis is not the server it was (restarted, or failed over); what was done last is written again",
            )
        elif beat.begins == "silence":
            log.info("no worker was heard for a while; whoever is back brings what it knows first")
        if beat.held:
            log.error("everything is held: %s", HELD_AS_RESTORED)
        if beat.write_again:
            rows = await heartbeat.write_again()
            if rows:
                log.warning("Redis had lost that %d rows were sent; it knows again", rows)
            heartbeat.come_in(beat)
            await self.beat()

    async def _beat_for_ever(self) -> None:
        while True:
            self._heartbeat.outdated.clear()
            wait_s = _BEAT_S
            try:
                await self.beat()
            except OUTAGE:
                wait_s = _BEAT_S / 4  # whoever is back is awaited
            except Exception:
                log.exception("this worker's presence could not be noted")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heartbeat.outdated.wait(), wait_s)
