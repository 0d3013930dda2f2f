"""Everything is held while the ledger's key is lost, with a sentence, until a worker opens what is
sealed.

Every worker looks every few seconds whether the key of the index of guests opens. One that can says
so for a while, ends such a hold, and seals the key anew where another key than the first of
`[ledger].key` did (`guest_index.py`). One that cannot leaves the work to those that can: two
workers read a changed file seconds apart. Only where nobody could for a while is everything held.
"""

from __future__ import annotations

import logging

from redis.asyncio import Redis

from worker.errors import SealError
from worker.ledger.gates import Gates, HoldReason
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.keys import Keys
from worker.ledger.scripts import InLedger

log = logging.getLogger(__name__)

OPENED_S = 12.0
"""So long it counts that a worker has opened the key: two looks, and a changed file has reached
every worker by then.
"""
_OTHERS_S = 0.7
"""Leaves the chunks to workers that can. Not a whole second, at which idle workers ask the broker
anew: the same one would be first each time.
"""
_HELD_S = 1.0


class KeyHold(InLedger):
    """A process looks at the key. What others must know of that is in the ledger."""

    def __init__(self, client: Redis, keys: Keys, index: GuestIndex, gates: Gates) -> None:
        super().__init__(client, keys)
        self._index = index
        self._gates = gates
        self._told = ""

    async def look(self) -> None:
        """Look whether the key opens, and do what follows. Raises redis-py's outages."""
        try:
            await self._index.open()
        except SealError as error:
            await self.met(error)
            return
        self._told = ""
        await self._client.set(self._keys.index_opened(), 1, px=round(OPENED_S * 1000))
        if await self._gates.reopen_everything(HoldReason.KEY):
            log.info("the ledger's key opens again; sending goes on")

    async def met(self, error: SealError) -> float:
        """Do what follows of a key that does not open here. Returns the seconds after which a chunk
        is to be offered again.
        """
        if await self._client.exists(self._keys.index_opened()):
            self._tell(f"{error} Other workers open it, and go on.")
            return _OTHERS_S
        await self._gates.hold_everything(str(error), HoldReason.KEY)
        self._tell(f"everything is held: {error}")
        return _HELD_S

    def _tell(self, what: str) -> None:
        if what != self._told:
            self._told = what
            log.error("%s", what)
