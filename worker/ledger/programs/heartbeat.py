"""A process says once a second that it is here, hears of the epoch, and writes again what Redis has
lost (`scripts/epoch.lua`).

`epochs.py` says it on time and tells people of it; the ledger asks for work in the epoch this
process has come in to.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from redis.asyncio import Redis

from worker.ledger.keys import Keys
from worker.ledger.programs.journal import JOURNAL_S, Journal
from worker.ledger.scripts import InLedger, to_ms


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """The reply to a process that says it is here (`scripts/epoch.lua`)."""

    epoch: str
    write_again: bool  # first write again what was done last, then come in
    at_ms: int
    awaited: int  # processes that have not come in yet
    begins: str  # "" | "server" | "silence": with this call
    held: bool  # since this call, as restored from a backup


class Heartbeat(InLedger):
    """A heartbeat is one process's at one ledger."""

    def __init__(self, client: Redis, keys: Keys, *, lease_s: float, settle_s: float) -> None:
        super().__init__(client, keys)
        self._lease_s = lease_s
        self._settle_s = settle_s
        self.journal = Journal()
        self.outdated = asyncio.Event()  # a batch was refused because of the epoch: it is to be asked for at once
        self.epoch, self._seen_ms = "", 0  # the epoch this process has come in to, and the last beat it saw

    async def beat(self, process: str, *, restored_s: float, why: str) -> HeartbeatReply:
        """Say that a process is here, and learn whether this is the ledger that it knew."""
        k = self._keys
        reply = await self._scripts["epoch"](
            keys=[k.epoch(), k.here(), k.awaited(), k.fence(), k.hold_all()],
            args=[
                *(process, self.epoch, self._seen_ms, to_ms(self._lease_s), to_ms(self._settle_s)),
                *(to_ms(JOURNAL_S), to_ms(restored_s), why),
            ],
        )
        beat = HeartbeatReply(
            reply[0].decode(), bool(reply[1]), int(reply[2]), reply[3], reply[4].decode(), bool(reply[5])
        )
        if not beat.write_again:
            self.come_in(beat)
        return beat

    def come_in(self, beat: HeartbeatReply) -> None:
        """From now on this process asks for work in that epoch."""
        self.epoch, self._seen_ms = beat.epoch, beat.at_ms
        self.journal.seen()

    async def write_again(self) -> int:
        """Write this process's last marks and outcomes again, where they were lost. Returns how
        many rows that was news of.
        """
        k, news = self._keys, 0
        for entry in self.journal.entries():
            t, index = entry.ticket, entry.index
            rows = [row for row in entry.grant.rows if row.index not in entry.unsent]
            news += await self._scripts["write_again"](
                keys=[k.job(t.job), k.chunk(t.job, t.chunk), k.leases()],
                args=[
                    *(k.prefix, str(t), entry.grant.batch, entry.grant.begun_at_ms, to_ms(self._settle_s), entry.nonce),
                    *(index.base if index else "", entry.whose),
                    *(
                        value
                        for row in rows
                        for value in (
                            *(row.index, row.attempt, "q" if row.silent else "."),
                            index.hashes[row.index] if index else b"",
                        )
                    ),
                ],
            )
            if entry.record is not None:
                await self._scripts["record_batch"](keys=entry.record[0], args=entry.record[1])
                self.journal.recorded(t.job, t.chunk, entry.grant.batch)
        return news

    async def say_goodbye(self, process: str) -> None:
        """A process ends with nothing of its own on the way."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.zrem(self._keys.here(), process)
            pipe.srem(self._keys.awaited(), process)
            await pipe.execute()
