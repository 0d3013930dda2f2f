"""The ledger at work: claiming, begin, record, giving back. Every row's state is moved here and nowhere else.

Each method is one Lua script, so each happens whole or not at all, on Redis's clock. What a script does and promises stands
at its head (`scripts/*.lua`); this module gives them names, types and values. What people ask of jobs is in `jobs.py`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from worker import blobs
from worker.audit import Trail
from worker.chunks import ChunkContents, links_context, read_chunk
from worker.errors import LedgerTooNew
from worker.journal import JOURNAL_S, Journal
from worker.keys import SCHEMA, Keys
from worker.model import (
    ChunkEnd,
    Grant,
    GrantedRow,
    IndexPlace,
    KnownRow,
    Lane,
    Lease,
    Options,
    Outcome,
    Recorded,
    Refusals,
    Ticket,
)
from worker.quota import Bucket
from worker.scripts import Scripts
from worker.seal import Sealer

OFFER_S = 15.0
"""An offer nobody claims within this time is made again."""
WORKER_TTL_S = 10.0
"""A worker not seen for this long has no seats any more. Its dispatcher ticks at least once a second."""
HEAL_EVERY_S = 5.0
"""How often one of the workers looks for what was lost (`heal`)."""
MOST_OFFERS = 64
"""Offers made in one tick: bounds the time Redis spends in it."""
BATCH_ROWS = 20
"""Microsoft's limit for one $batch. https://learn.microsoft.com/graph/json-batching"""
RESERVE_ROWS = 100
"""Kept unspent of a large bucket from which somebody unknown takes too: about what is on the wire of it at once."""
_NO_DIGITS = str.maketrans("0123456789", "ghijklmnop")


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did. `next_s`: when something known is due next; None: nothing is."""

    offers: tuple[tuple[Ticket, int], ...]  # with the number of chunks of its job
    next_s: float | None
    lost_leases: int
    unclaimed: int


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process is told that says it is here (`scripts/epoch.lua`)."""

    epoch: str
    write_again: bool  # first write again what was done last, then come in
    at_ms: int
    awaited: int  # processes that have not come in yet
    begins: str  # "" | "server" | "silence": with this call
    held: bool  # since this call, as restored from a backup


@dataclass(frozen=True, slots=True)
class DoubtfulRow:
    """A row in doubt that is due to be looked up."""

    job: str
    chunk: int
    index: int
    attempted_at_ms: int
    first_at_ms: int  # its first attempt that may have been carried out: this one, or one that was given up before


class Ledger:
    """The worker's side of the ledger, over one Redis client."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        lease_s: float = 15,
        settle_s: float = 60,
        sealer: Sealer | None = None,
        trail: Trail | None = None,
    ) -> None:
        self.client: Any = client  # Any: redis-py's types say bytes or text of every reply; ours are bytes
        self.keys = keys
        self.lease_s = lease_s
        self.settle_s = settle_s
        self.sealer = sealer
        self.trail = trail or Trail(client, keys, keep_s=0)
        self.journal = Journal()
        self.outdated = asyncio.Event()  # a batch was refused because of the epoch: it is to be asked for at once
        self._epoch, self._seen_ms = "", 0  # the epoch this process has come in to, and the last beat it saw
        self._scripts = Scripts(client)

    # The dispatcher

    async def tick(self, worker: str, seats: int, *, most: int = MOST_OFFERS) -> Tick:
        """Free what has expired and offer at most so many chunks for the seats that are free. `seats` 0: the worker is leaving.

        Raises `LedgerTooNew`, with nothing touched, when a newer usher works in this ledger.
        """
        k = self.keys
        reply = await self._scripts["tick"](
            keys=[
                k.workers(),
                k.worker_seats(),
                k.leases(),
                k.offers(),
                k.due(),
                k.due_now(),
                k.due_doubts(),
                k.seats_of(),
                k.offered_of(),
                k.fence(),
                k.hold_all(),
                k.schema(),
            ],
            args=[
                k.prefix,
                worker,
                seats,
                _ms(WORKER_TTL_S),
                _ms(OFFER_S),
                _ms(self.settle_s),
                most if seats else 0,
                BATCH_ROWS,
                SCHEMA,
            ],
        )
        if reply[0] == -2:
            raise LedgerTooNew()
        offers = tuple(
            (Ticket.parse(ticket.decode()), int(chunks))
            for ticket, chunks in zip(reply[3::2], reply[4::2], strict=True)
        )
        return Tick(offers, None if reply[0] < 0 else reply[0] / 1000, reply[1], reply[2])

    async def heal(self) -> int | None:
        """Put right what can be derived from the rest; whoever comes first does it for all. Returns what was wrong, None if too soon."""
        k = self.keys
        reply: int | None = await self._scripts["heal"](
            keys=[
                k.healed(),
                k.connections(),
                k.due(),
                k.due_now(),
                k.due_doubts(),
                k.leases(),
                k.offers(),
                k.seats_of(),
                k.offered_of(),
                k.hold_all(),
            ],
            args=[k.prefix, _ms(HEAL_EVERY_S), _ms(self.lease_s), _ms(OFFER_S), _ms(self.settle_s)],
        )
        return reply

    # Epochs

    async def beat(self, process: str, *, restored_s: float, why: str) -> Beat:
        """Say that a process is here, and learn whether this is the ledger that it knew."""
        k = self.keys
        reply = await self._scripts["epoch"](
            keys=[k.epoch(), k.here(), k.awaited(), k.fence(), k.hold_all()],
            args=[
                *(process, self._epoch, self._seen_ms, _ms(self.lease_s), _ms(self.settle_s)),
                *(_ms(JOURNAL_S), _ms(restored_s), why),
            ],
        )
        beat = Beat(str(reply[0]), bool(reply[1]), int(reply[2]), reply[3], reply[4].decode(), bool(reply[5]))
        if not beat.write_again:
            self.come_in(beat)
        return beat

    def come_in(self, beat: Beat) -> None:
        """From now on this process asks for work in that epoch."""
        self._epoch, self._seen_ms = beat.epoch, beat.at_ms

    async def write_again(self) -> int:
        """Write this process's last marks and outcomes again, where they were lost. Returns how many rows that was news of."""
        k, news = self.keys, 0
        for entry in self.journal.entries():
            t, index = entry.ticket, entry.index
            rows = [row for row in entry.grant.rows if row.index not in entry.unsent]
            news += await self._scripts["write_again"](
                keys=[k.job(t.job), k.chunk(t.job, t.chunk), k.leases()],
                args=[
                    *(k.prefix, str(t), entry.grant.batch, entry.grant.begun_at_ms, _ms(self.settle_s), entry.nonce),
                    index.base if index else "",
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
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.zrem(self.keys.here(), process)
            pipe.srem(self.keys.awaited(), process)
            await pipe.execute()

    # A chunk

    async def offer(self, job: str, chunk: int, connection: str, lane: Lane) -> Ticket | None:
        """Offer one chunk to the caller itself; None when it is not waiting to be sent."""
        k = self.keys
        ticket = await self._scripts["offer_chunk"](
            keys=[k.offers(), k.seats_of(), k.offered_of(), k.fence(), k.job(job), k.chunk(job, chunk)],
            args=[k.prefix, job, chunk, connection, lane.value, _ms(OFFER_S)],
        )
        return Ticket.parse(ticket.decode()) if ticket else None

    async def is_in_work(self, job: str, chunk: int) -> bool:
        """Whether a chunk is offered or leased right now."""
        return await self.client.hget(self.keys.chunk(job, chunk), "ph") in (b"o", b"l")

    async def claim(self, ticket: Ticket) -> Lease | None:
        """Turn an offer into a lease. None: void, claimed already, or the job does not run any more."""
        k = self.keys
        reply = await self._scripts["claim"](
            keys=[
                *(k.offers(), k.leases(), k.offered_of()),
                *(k.job(ticket.job), k.chunk(ticket.job, ticket.chunk), k.schema()),
            ],
            args=[k.prefix, str(ticket), _ms(self.lease_s), _ms(self.settle_s), SCHEMA],
        )
        if not reply:
            return None
        if ticket.lane is Lane.DOUBT:
            return Lease(ticket, "", "", [], 0, Options(), 0, 0)
        letters = reply[1].decode()
        return Lease(
            ticket,
            letters,
            reply[2].decode() or "0" * len(letters),
            blobs.unpack_rows(reply[3]),
            int(reply[4]),
            Options(**orjson.loads(reply[5])),
            int(reply[6]),
            int(reply[7]),
            int(reply[8]),
            suspect=bool(reply[9]),
        )

    async def mark_checked(self, lease: Lease) -> None:
        """Note that the chunk's rows were looked up in the directory."""
        ticket = lease.ticket
        await self._scripts["mark_checked"](keys=[self.keys.chunk(ticket.job, ticket.chunk), self.keys.epoch()])

    async def renew(self, leases: Sequence[Lease]) -> None:
        """Renew leases in one go; those that were lost meanwhile are marked so."""
        if not leases:
            return
        tickets = {str(lease.ticket): lease for lease in leases}
        lost = await self._scripts["renew"](keys=[self.keys.leases()], args=[_ms(self.lease_s), *tickets])
        for ticket in lost:
            tickets[ticket.decode()].lost = True

    async def release(self, lease: Lease, wait_s: float = 0.0) -> bool:
        """Give the chunk back; its connection is offered work again after `wait_s`. False when the lease was gone already."""
        reply = await self._scripts["release"](
            keys=[self.keys.leases()],
            args=[self.keys.prefix, str(lease.ticket), _ms(wait_s), _ms(self.settle_s), _ms(lease.put_off_s)],
        )
        return bool(reply)

    # A batch

    async def begin_batch(
        self,
        lease: Lease,
        indexes: Sequence[int],
        buckets: Sequence[Bucket],
        *,
        tenant_key: str,
        client_key: str,
        daily_limit: int = 0,
        index: IndexPlace | None = None,
        resend: bool = False,
        fingerprint: str = "",
    ) -> Grant:
        """Ask for rows to be sent now: those granted are marked *sending*, in Redis, before this returns.

        With an index each granted row has the claim on its guest; `resend`: also where the guest was invited lately.
        `fingerprint`: of the credential that bought the token which the rows will be sent with.
        """
        k, t = self.keys, lease.ticket
        nonce = secrets.token_hex(6).translate(_NO_DIGITS)
        reply = await self._scripts["begin_batch"](
            keys=[
                k.leases(),
                k.job(t.job),
                k.chunk(t.job, t.chunk),
                k.connection(t.connection),
                k.tenant(tenant_key),
                k.hold_all(),
                k.daily(client_key),
                *(k.bucket(b.scope) for b in buckets),
            ],
            args=[
                str(t),
                ",".join(map(str, indexes)),
                daily_limit,
                BATCH_ROWS,
                k.prefix,
                index.base if index else "",
                int(resend),
                b"".join(index.hashes[i] for i in indexes) if index else b"",
                fingerprint,
                *(v for b in buckets for v in (b.amount, b.window_ms, b.cost, b.kept if t.lane is Lane.BULK else 0)),
                self._epoch,
                nonce,  # redis-py repeats a call whose answer was lost; this tells it from another
            ],
        )
        verb = reply[0].decode()
        if verb == "go":
            rows = tuple(
                GrantedRow(int(reply[i]), int(reply[i + 1]), reply[i + 2] == b"q") for i in range(6, len(reply), 3)
            )
            known, blocked = _read_known(reply[4]), tuple(map(int, reply[5]))
            grant = Grant(
                rows,
                int(reply[1]),
                int(reply[2]),
                bool(reply[3] & 1),
                known,
                blocked,
                probation=bool(reply[3] & 2),
                tries_quota=bool(reply[3] & 4),
            )
            self.journal.begun(t, grant, nonce, index)
            return grant
        if verb == "pass":
            return Grant(known=_read_known(reply[1]), blocked=tuple(map(int, reply[2])), why="pass")
        if verb == "wait":
            return Grant(why=reply[2].decode(), wait_s=reply[1] / 1000, jobs=int(reply[3]) if len(reply) > 3 else 0)
        why = reply[1].decode()
        if why == "epoch":
            self.outdated.set()
        return Grant(why="held" if verb == "held" else why)

    async def record_batch(
        self,
        job: str,
        chunk: int,
        connection: str,
        lane: Lane,
        batch: int,
        outcomes: Sequence[Outcome],
        index: IndexPlace | None = None,
        refusals: Refusals | None = None,
        end: ChunkEnd | None = None,
    ) -> Recorded:
        """Write what came back of a batch, or of a look-up (`batch` 0). A final outcome is taken whoever brings it.

        With an index, the claims of rows that end, or go back, become "invited" or are dropped.
        With refusals, they are counted, and too many of them hold the job.
        With an end, these are the chunk's last outcomes, and it is folded as well (`fold`).
        """
        k = self.keys
        stored = end.outcomes if end else outcomes
        args: list[Any] = [k.prefix, job, chunk, connection, lane.value, batch, _ms(self.settle_s)]
        for_now = end is None
        args += [blobs.pack_outcomes(stored, for_now=for_now), self._seal_links(stored, job, chunk, for_now=for_now)]
        args += [index.base if index else ""]
        counted = refusals is not None and (refusals.in_a_row > 0 or refusals.share < 1)
        args += [refusals.in_a_row, refusals.share, ",".join(refusals.marks)] if counted and refusals else [0, 1, ""]
        args += [blobs.pack_head(end.rows, end.outcomes), end.blobs] if end else [b"", 0]
        kept = self.trail.pack(connection, end.base, lane, end.outcomes, index) if end else b""
        args += [kept, self.trail.keep_ms]
        for outcome in outcomes:
            args += [outcome.index, outcome.letter.value, _ms(outcome.wait_s), outcome.attempted_at_ms]
            args.append(index.hashes[outcome.index] if index else b"")
        keys: list[Any] = [k.job(job), k.chunk(job, chunk)]
        self.journal.heard(job, chunk, batch, outcomes, keys, args)
        reply = await self._scripts["record_batch"](keys=keys, args=args)
        self.journal.recorded(job, chunk, batch)
        folded = reply[0] == b"folded"
        if folded:
            self.trail.tell_rows(job, kept)
        return Recorded(int(reply[1]), int(reply[2]), reply[3].decode(), int(reply[5]), reply[0] == b"gone", folded)

    async def passed_probation(self, connection: str) -> None:
        """Count one clean batch of a connection that is on probation."""
        await self.client.hincrby(self.keys.connection(connection), "clean", 1)

    async def fold(self, job: str, chunk: int) -> bool:
        """Replace a finished chunk's rows and blobs by one blob each. Safe to leave undone: reading sees no difference."""
        key = self.keys.chunk(job, chunk)
        fields = await self.client.hgetall(key)
        if b"rows" not in fields:
            return False
        contents = read_chunk(fields, self.sealer, links_context(job, chunk))
        finished = [o for o in contents.outcomes if o is not None]
        packed = blobs.pack_finished(contents.rows, finished)
        links = self._seal_links(finished, job, chunk)
        kept = await self._kept_of(job, contents)
        folded = await self._scripts["fold_chunk"](
            keys=[key],
            args=[fields.get(b"no", b"0"), packed, links, self.keys.prefix, f"{job}:{chunk}", kept, self.trail.keep_ms],
        )
        if folded:
            self.trail.tell_rows(job, kept)
        return bool(folded)

    async def _kept_of(self, job: str, contents: ChunkContents) -> bytes:
        """Return what the audit trail keeps of a finished chunk."""
        connection, lane = await self.client.hmget(self.keys.job(job), "connection", "lane")
        if connection is None or not self.trail.keep_ms:
            return b""
        index = await self.trail.place(connection.decode(), contents.rows)
        return self.trail.pack(connection.decode(), contents.base, Lane(lane.decode()), contents.outcomes, index)

    def _seal_links(self, outcomes: Sequence[Outcome], job: str, chunk: int, *, for_now: bool = False) -> bytes:
        """Return the outcomes' links as they are stored; nothing where there are none, or no key to seal them with."""
        links = blobs.pack_links(outcomes, for_now=for_now) if self.sealer else b""
        return self.sealer.seal(links, links_context(job, chunk)) if links and self.sealer else b""

    async def find_invited(self, index: IndexPlace, rows: Sequence[int]) -> tuple[KnownRow, ...]:
        """Return those of some rows whose guest any job invited lately; asked for again, they stay known."""
        return await self._ask_index("find_invited", index, rows)

    async def see_invited(self, index: IndexPlace, rows: Sequence[int]) -> tuple[KnownRow, ...]:
        """Return the same, changing nothing: for a dry run."""
        return await self._ask_index("see_invited", index, rows)

    async def _ask_index(self, script: str, index: IndexPlace, rows: Sequence[int]) -> tuple[KnownRow, ...]:
        reply = await self._scripts[script](keys=[], args=[index.base, b"".join(index.hashes[row] for row in rows)])
        known = _read_known(reply)
        return tuple(KnownRow(rows[row.index - 1], row.day, row.job) for row in known)

    # Rows in doubt

    async def claim_doubts(self, connection: str, most: int) -> list[DoubtfulRow] | None:
        """Return the connection's rows that are due to be looked up, oldest first.

        None while a worker may still come back with the answer itself (`epoch.lua`).
        """
        reply = await self._scripts["claim_doubts"](
            keys=[self.keys.doubts(connection), self.keys.epoch()], args=[self.keys.prefix, most]
        )
        if reply is None:
            return None
        parts = [part.decode() for part in reply]
        return [
            DoubtfulRow(job, int(chunk), int(row), int(at), int(first))
            for job, chunk, row, at, first in zip(*(iter(parts),) * 5, strict=True)
        ]

    async def first_attempts(self, lease: Lease) -> dict[int, int]:
        """Return, for those pending rows that were in doubt before, when they were first sent (ms): late, they may still have arrived."""
        rows = [i for i in lease.pending() if lease.attempts[i] != "0"]
        if not rows:
            return {}
        key = self.keys.chunk(lease.ticket.job, lease.ticket.chunk)
        times = await self.client.hmget(key, [f"f{i}" for i in rows])
        return {i: int(at) for i, at in zip(rows, times, strict=True) if at is not None}

    async def chunk_rows(self, job: str, chunk: int) -> tuple[list[dict[str, Any]], str, Options, Lane]:
        """Return a chunk's input rows, its attempts, its job's options and lane; no rows once it is deleted."""
        rows, attempts = await self.client.hmget(self.keys.chunk(job, chunk), "rows", "at")
        options, lane = await self.client.hmget(self.keys.job(job), "options", "lane")
        if rows is None or options is None:
            return [], "", Options(), Lane.BULK
        return (
            blobs.unpack_rows(rows),
            (attempts or b"").decode(),
            Options(**orjson.loads(options)),
            Lane(lane.decode()),
        )

    async def end_look_up(self, connection: str, least_s: float = 0.0) -> None:
        """Say when the connection's next row in doubt is due: not before `least_s`."""
        await self._scripts["next_doubt"](
            keys=[self.keys.doubts(connection), self.keys.due_doubts()], args=[connection, _ms(least_s)]
        )

    # Quota

    async def throttled(
        self,
        connection: str,
        buckets: Sequence[Bucket],
        wait_s: float,
        why: str,
        *,
        refused: int = 1,
        begun_since: int = 0,
        elapsed_s: float = 0.0,
    ) -> tuple[float, bool]:
        """A 429 that may mean any of these buckets: close the emptiest for `wait_s` at least, and learn from it (`throttled.lua`).

        `refused`: rows, or requests, that met it; `begun_since`: rows that left after them; `elapsed_s`: since they left.
        Returns the seconds until the next try, and whether this is a new 429 rather than one more of the last.
        """
        wait_ms, new = await self._scripts["throttled"](
            keys=[self.keys.connection(connection), *(self.keys.bucket(b.scope) for b in buckets)],
            args=[
                *(_ms(wait_s), why, refused, begun_since, _ms(elapsed_s), BATCH_ROWS),
                *(v for b in buckets for v in (b.amount, b.window_ms, b.cost)),
            ],
        )
        return wait_ms / 1000, bool(new)

    async def quota_works(self, buckets: Sequence[Bucket]) -> None:
        """A row that tried a throttled quota alone (`Grant.tries_quota`) went through: others may follow."""
        await self._scripts["works"](keys=[self.keys.bucket(b.scope) for b in buckets])

    async def show_used(self, buckets: Sequence[Bucket], share: float, *, begun_since: int, elapsed_s: float) -> bool:
        """Graph says that `share` of some limit of an invitation is used: lower our picture where it shows less. Whether it did.

        `begun_since`: rows that left after those that brought the news; `elapsed_s`: since their mark.
        """
        known = [b for b in buckets if b.window_ms and not b.scope.startswith("pace:")]
        reply = await self._scripts["used"](
            keys=[self.keys.bucket(b.scope) for b in known],
            args=[
                *(share, begun_since, _ms(elapsed_s), RESERVE_ROWS, BATCH_ROWS),
                *(v for b in known for v in (b.amount, b.window_ms, b.cost, int(b.scope.startswith("writes:")))),
            ],
        )
        return bool(reply)

    async def take(self, buckets: Sequence[Bucket], tokens: int, lane: Lane = Lane.BULK) -> float:
        """Take tokens for reads, all or none. Returns 0, or the seconds to wait."""
        reply = await self._scripts["take"](
            keys=[self.keys.bucket(b.scope) for b in buckets],
            args=[tokens, *(v for b in buckets for v in (b.amount, b.window_ms, b.kept if lane is Lane.BULK else 0))],
        )
        return int(reply) / 1000


def _read_known(pairs: Sequence[Any]) -> tuple[KnownRow, ...]:
    found = []
    for row, entry in zip(pairs[::2], pairs[1::2], strict=True):
        day, _, job = entry.decode().partition(":")
        found.append(KnownRow(int(row), int(day), job))
    return tuple(found)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
