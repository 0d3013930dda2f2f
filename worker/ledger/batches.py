"""The ledger moves every row's state here and nowhere else: claim, begin, record, give back.

Each method is one Lua script, so each happens whole or not at all, on Redis's clock. What a script
does and promises stands at its head (`scripts/*.lua`); this module gives them names, types and
values. Beside it: what is offered (`offers.py`), who is here (`programs/heartbeat.py`), rows in
doubt (`doubts.py`), quotas (`spending.py`), and what people ask of jobs (`jobs.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import orjson
from redis.asyncio import Redis

from worker.errors import SealBroken
from worker.graph.latency import UNKNOWN_S
from worker.ledger import packing
from worker.ledger.audit.trail import Trail
from worker.ledger.chunk_contents import ChunkContents, check_links, links_context, read_chunk
from worker.ledger.doubts import Doubts
from worker.ledger.keys import SCHEMA, Keys
from worker.ledger.model import (
    ChunkEnd,
    Grant,
    IndexPlace,
    KnownRow,
    Lane,
    Lease,
    Options,
    Outcome,
    Recorded,
    Refusals,
    Row,
    RowState,
    Ticket,
)
from worker.ledger.offers import Offers
from worker.ledger.programs.heartbeat import Heartbeat
from worker.ledger.quota import Bucket
from worker.ledger.scripts import Scripts, to_ms
from worker.ledger.scripts.grants import read_grant, read_known, write_limits
from worker.ledger.spending import Spending
from worker.ledger.stages import is_stage, item_name, tell_whose
from worker.ledger.why_waiting import Rest
from worker.store.keyring import FindSealer, find_or_none, no_sealer

_NO_DIGITS = str.maketrans("0123456789", "ghijklmnop")


class Ledger:
    """The worker's side of the ledger, over one Redis client."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        lease_s: float = 15,
        settle_s: float = 60,
        remember_s: float = 60 * 86_400,
        sealer: FindSealer = no_sealer,
        trail: Trail | None = None,
    ) -> None:
        self.client: Any = client  # Any: redis-py's types say bytes or text of every reply; ours are bytes
        self.keys = keys
        self.lease_s = lease_s
        self.settle_s = settle_s
        self.remember_s = remember_s
        self.sealer = sealer
        self.trail = trail or Trail(client, keys, keep_s=0)
        self.heartbeat = Heartbeat(client, keys, lease_s=lease_s, settle_s=settle_s)
        self.doubts = Doubts(client, keys)
        self.spending = Spending(client, keys)
        self.offers = Offers(client, keys, lease_s=lease_s, settle_s=settle_s)
        self._scripts = Scripts(client)

    # A chunk

    async def claim(self, ticket: Ticket) -> Lease | None:
        """Turn an offer into a lease. None: void, claimed already, everything is held, or the job
        does not run any more.
        """
        k = self.keys
        reply = await self._scripts["claim"](
            keys=[
                *(k.offers(), k.leases(), k.offered_of()),
                *(k.job(ticket.job), k.chunk(ticket.job, ticket.chunk), k.schema(), k.hold_all()),
            ],
            args=[k.prefix, str(ticket), to_ms(self.lease_s), to_ms(self.settle_s), SCHEMA],
        )
        if not reply:
            return None
        if ticket.lane is Lane.DOUBT:
            return Lease(ticket, "", "", [], 0, Options(), 0, 0)
        letters = reply[1].decode()
        rows = packing.unpack_rows(reply[3])
        return Lease(
            ticket,
            letters,
            reply[2].decode() or "0" * len(letters),
            rows,
            int(reply[4]),
            Options(**orjson.loads(reply[5])),
            int(reply[6]),
            int(reply[7]),
            int(reply[8]),
            suspect=bool(reply[9]),
            stages=tuple(reply[10].decode().split()),
            packed=reply[3],
            known=await self._known_of(ticket.job, rows) if reply[11] else {},
            tenant=reply[12].decode(),
        )

    async def find_put_off(self, lease: Lease, now_ms: int) -> dict[int, float]:
        """Return for how many seconds more those of the rows left to send wait that were refused
        for now.
        """
        tried = [i for i in lease.pending() if lease.attempts[i] != "0"]
        if not tried:
            return {}
        key = self.keys.chunk(lease.ticket.job, lease.ticket.chunk)
        until = await self.client.hmget(key, [f"w{i}" for i in tried])
        waits = {i: (int(ms) - now_ms) / 1000 for i, ms in zip(tried, until, strict=True) if ms}
        return {i: wait_s for i, wait_s in waits.items() if wait_s > 0}

    async def _known_of(self, stage: str, items: Sequence[Row]) -> dict[int, RowState | int]:
        """Return what is known of items that a failover lost, by their place among these."""
        async with self.client.pipeline(transaction=False) as pipe:
            for item in items:
                pipe.hget(self.keys.stage_guests(stage, item["at"][0]), f"w{item_name(item)}")
            known = [raw and raw.decode() for raw in await pipe.execute()]
        return {i: int(what) if what.isdigit() else RowState(what) for i, what in enumerate(known) if what}

    async def mark_checked(self, lease: Lease) -> None:
        """Note that the chunk's rows were looked up in the directory."""
        ticket = lease.ticket
        await self._scripts["mark_checked"](keys=[self.keys.chunk(ticket.job, ticket.chunk), self.keys.epoch()])

    async def renew(self, leases: Sequence[Lease]) -> None:
        """Renew leases in one go; those that were lost meanwhile are marked so."""
        if not leases:
            return
        tickets = {str(lease.ticket): lease for lease in leases}
        lost = await self._scripts["renew"](keys=[self.keys.leases()], args=[to_ms(self.lease_s), *tickets])
        for ticket in lost:
            tickets[ticket.decode()].lost = True

    async def release(self, lease: Lease, wait_s: float = 0.0, put_off_s: float = 0.0) -> bool:
        """Give the chunk back; its connection is offered work again after `wait_s`, and the chunk
        itself after `put_off_s`.

        False when the lease was gone already.
        """
        reply = await self._scripts["release"](
            keys=[self.keys.leases()],
            args=[self.keys.prefix, str(lease.ticket), to_ms(wait_s), to_ms(self.settle_s), to_ms(put_off_s)],
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
        resent: Collection[int] = (),
        fingerprint: str = "",
        answer_s: float = UNKNOWN_S,
    ) -> Grant:
        """Ask for rows to be sent now: those granted are marked *sending*, in Redis, before this
        returns.

        With an index each granted row has the claim on its guest; those `resent` also where the
        guest was invited lately. `fingerprint`: of the credential that bought the token which the
        rows will be sent with. Where the chunk was looked up just now (`lease.checked_in`), that is
        noted too, whatever the answer; not if the epoch has changed since. `answer_s`: how long
        Graph takes to answer, for a full bucket begins to fill on Graph's side only when the first
        rows arrive there.
        """
        k, t = self.keys, lease.ticket
        checked = lease.checked_in is not None and lease.checked_in == self.heartbeat.epoch
        lease.checked_in = None
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
                *[k.bucket(b.scope) for b in buckets],
            ],
            args=[
                str(t),
                ",".join(map(str, indexes)),
                daily_limit,
                len(indexes),
                k.prefix,
                index.base if index else "",
                "".join(["1" if i in resent else "0" for i in indexes]) if resent else "0" * len(indexes),
                b"".join([index.hashes[i] for i in indexes]) if index else b"",
                fingerprint,
                write_limits(buckets, t.lane),
                int(checked),
                self.heartbeat.epoch,
                nonce,  # redis-py repeats a call whose answer was lost; this tells it from another
                to_ms(answer_s),
                to_ms(self.settle_s),
                to_ms(self.remember_s),
            ],
        )
        grant = read_grant(reply)
        if grant.batch:
            whose = b""
            if is_stage(t.job):
                sent = dict.fromkeys([row.index for row in grant.rows], "")
                whose = orjson.dumps(tell_whose(lease.rows, lease.packed, sent))
            self.heartbeat.journal.begun(t, grant, nonce, index, whose)
        elif checked and not grant.blocked:
            await self.mark_checked(lease)
        if grant.why is Rest.EPOCH and not grant.wait_s:
            self.heartbeat.outdated.set()
        return grant

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
        chained: bytes = b"",
    ) -> Recorded:
        """Write what came back of a batch, or of a look-up (`batch` 0). A final outcome is taken
        whoever brings it.

        With an index, the claims of rows that end, or go back, become "invited" or are dropped.
        With refusals, they are counted, and too many of them hold the job.
        With an end, these are the chunk's last outcomes, and it is folded as well (`fold`).
        `chained`: what those that end mean for the stages of their job, or as items of a stage
        (`worker/operations/stages.py`).
        """
        k = self.keys
        stored = end.outcomes if end else outcomes
        args: list[Any] = [k.prefix, job, chunk, connection, lane.value, batch, to_ms(self.settle_s)]
        for_now = end is None
        args += [packing.pack_outcomes(stored, for_now=for_now), self._seal_links(stored, job, chunk, for_now=for_now)]
        args += [index.base if index else ""]
        counted = refusals is not None and (refusals.in_a_row > 0 or refusals.share < 1)
        args += [refusals.in_a_row, refusals.share, ",".join(refusals.marks)] if counted and refusals else [0, 1, ""]
        head = packing.pack_head(end.rows, end.outcomes, end.packed, whole=end.whole) if end else b""
        args += [head, end.blobs if end else 0]
        kept = self.trail.pack(connection, end.base, lane, end.outcomes, index) if end else b""
        args += [kept, self.trail.keep_ms]
        changes = [
            f"{o.index}{o.letter}{to_ms(o.wait_s) if o.wait_s > 0 else 0}:{o.attempted_at_ms};" for o in outcomes
        ]
        hashes = [index.hashes[o.index] for o in outcomes] if index else []
        args += ["".join(changes), b"".join(hashes), to_ms(self.remember_s), chained]
        keys: list[Any] = [k.job(job), k.chunk(job, chunk)]
        self.heartbeat.journal.heard(job, chunk, batch, outcomes, keys, args)
        reply = await self._scripts["record_batch"](keys=keys, args=args)
        self.heartbeat.journal.recorded(job, chunk, batch)
        folded = reply[0] == b"folded"
        if folded:
            self.trail.tell_rows(job, kept)
        return Recorded(int(reply[1]), int(reply[2]), reply[3].decode(), int(reply[5]), reply[0] == b"gone", folded)

    async def passed_probation(self, connection: str) -> None:
        """Count one clean batch of a connection that is on probation."""
        await self.client.hincrby(self.keys.connection(connection), "clean", 1)

    async def record_look_up(
        self,
        job: str,
        chunk: int,
        channel: str,
        lane: Lane,
        outcomes: Sequence[Outcome],
        index: IndexPlace | None,
        chained: bytes = b"",
    ) -> None:
        """Write what a look-up found, and fold the chunk where these were its last rows."""
        recorded = await self.record_batch(job, chunk, channel, lane, 0, outcomes, index, chained=chained)
        if recorded.pending == 0 and recorded.open == 0 and not recorded.gone:
            await self.fold(job, chunk)

    async def fold(self, job: str, chunk: int) -> bool:
        """Replace a finished chunk's rows and blobs by one blob each. Safe to leave undone: reading
        sees no difference.
        """
        key = self.keys.chunk(job, chunk)
        fields = await self.client.hgetall(key)
        if b"rows" not in fields:
            return False
        sealer = find_or_none(self.sealer)
        try:
            check_links(fields, sealer, links_context(job, chunk))
        except SealBroken:
            return False  # folded without its key they would be lost; reading sees no difference
        contents = read_chunk(fields, sealer, links_context(job, chunk))
        finished = [o for o in contents.outcomes if o is not None]
        has_stages = await self.client.hexists(self.keys.job(job), "stages")
        packed = packing.pack_finished(contents.rows, finished, whole=has_stages)
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
        """Return the outcomes' links as they are stored; nothing where there are none, or no key to
        seal them with.
        """
        sealer = find_or_none(self.sealer)
        links = packing.pack_links(outcomes, for_now=for_now) if sealer else b""
        return sealer.seal(links, links_context(job, chunk)) if links and sealer else b""

    async def find_invited(self, index: IndexPlace, rows: Sequence[int]) -> tuple[KnownRow, ...]:
        """Return those of some rows whose guest any job invited lately."""
        hashes = b"".join([index.hashes[row] for row in rows])
        reply = await self._scripts["find_invited"](keys=[], args=[index.base, hashes, to_ms(self.remember_s)])
        return tuple(replace(known, index=rows[known.index - 1]) for known in read_known(reply))

    async def overrule(self, index: IndexPlace, known: Sequence[KnownRow]) -> None:
        """Let the index forget guests of whom the directory shows that they are not there, unless
        they were invited again since.
        """
        hashes = b"".join(index.hashes[row.index] for row in known)
        await self._scripts["overrule"](keys=[], args=[index.base, hashes, " ".join(str(row.at_s) for row in known)])
