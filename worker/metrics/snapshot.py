"""`usher metrics` takes a snapshot of the whole ledger: what is counted, waits, is open, is there.
Reads only, and no secret.

A look costs a handful of pipelines, and about a command for each connection that had jobs. Jobs
that have ended are read once: an ended job never changes again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError
from worker.channels import split_channel
from worker.ledger.gates import WHOLE, HoldReason
from worker.ledger.guests.last_seen import Sighting, read_sighting
from worker.ledger.offers import WORKER_TTL_S
from worker.ledger.quota import Bucket
from worker.ledger.scripts import InLedger
from worker.ledger.stages import is_stage
from worker.ledger.timetable import Timetable
from worker.operations.operation import Channel
from worker.operations.registry import find_operation
from worker.services import find_connection
from worker.signin.tenant_ids import Tenants
from worker.store.client import read_time_ms

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from config.settings import Settings
    from worker.ledger.keys import Keys

_AT_ONCE = 500  # commands in one pipeline: bounds what Redis holds for us meanwhile
_TOGETHER = 50  # keys of one EXISTS
_FULL: Sequence[bytes | None] = (None,) * 4  # the fields of a bucket that is not there
_MOST_DOUBTS = 1000  # rows in doubt looked at for their age, of one connection
_JOB_FIELDS = ("connection", "state", "rows", "n:i", "n:g", "n:k", "n:f", "n:u", "open", "pilot", "finished_at")


@dataclass(frozen=True, slots=True)
class Level:
    """What is left in one of a connection's buckets: rows that may be sent now, and at most."""

    tokens: float
    limit: float


@dataclass(slots=True)
class ConnectionSnapshot:
    """A channel as it stands: a connection, or a connection's work of another operation."""

    accepted: int = 0
    ended: dict[str, int] = field(default_factory=dict)  # rows by outcome letter, `c` cancelled; for ever
    resolved: dict[str, int] = field(default_factory=dict)  # rows that were in doubt, by the letter they got
    throttled: int = 0
    closed_s: float = 0.0
    held: str = ""  # for what; '' while it is not
    is_open: bool = True
    backlog: Counter[str] = field(default_factory=Counter)  # rows without an outcome, by their job's state
    due: int = 0
    doubts: int = 0
    oldest_doubt_s: float = 0.0
    levels: dict[str, Level] = field(default_factory=dict)
    credential_ends_s: float | None = None


@dataclass(slots=True)
class Snapshot:
    """Everything at one moment. Workers' counters are as in Redis: `name|connection|label`."""

    connections: dict[str, ConnectionSnapshot]
    counts: dict[str, int]
    jobs: Counter[str]
    workers: int
    seats: int
    seats_used: int
    memory_used: int
    memory_limit: int
    beats: int
    schedule_lags_s: dict[str, float]
    seen: dict[str, Sighting] = field(default_factory=dict)
    """By connection, what was last seen of its tenant."""


class Observer(InLedger):
    """Looks at the ledger again and again."""

    def __init__(self, client: Redis, keys: Keys, settings: Callable[[], Settings]) -> None:
        super().__init__(client, keys)
        self._settings = settings
        self._timetable = Timetable(client, keys)
        self._tenants = Tenants(client, keys)
        self._ended: dict[tuple[bytes, float], str] = {}  # jobs, with the time of their making: ids come back

    async def look(self) -> Snapshot:
        """Look once. Raises redis-py's errors."""
        keys = self._keys
        now_ms = await read_time_ms(self._client)
        await self._tenants.recall()
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.smembers(keys.connections())
            pipe.hmget(keys.hold_all(), "why", "kind")
            pipe.hgetall(keys.meters())
            pipe.zrangebyscore(keys.workers(), now_ms - WORKER_TTL_S * 1000, "+inf")
            pipe.hgetall(keys.worker_seats())
            pipe.zcard(keys.leases())
            pipe.zcard(keys.offers())
            pipe.info("memory")
            pipe.exists(f"{keys.beat()}:lock")
            known, everything_held, counts, seen, seats, leases, offers, memory, beat = await pipe.execute()
        # Those that had jobs first, for of these there is something
        names = [*dict.fromkeys((*sorted(raw.decode() for raw in known), *sorted(self._settings().connections)))]
        why, kind = everything_held
        all_held = (kind or b"operator").decode() if why else ""
        connections = await self._look_at_connections(names, all_held, now_ms)
        jobs = await self._look_at_jobs(connections)
        planned = await self._timetable.all()
        return Snapshot(
            connections,
            {name.decode(): int(count) for name, count in counts.items()},
            jobs,
            workers=len(seen),
            seats=sum(int(count) for name, count in seats.items() if name in set(seen)),
            seats_used=leases + offers,
            memory_used=int(memory.get("used_memory", 0)),
            memory_limit=int(memory.get("maxmemory", 0)) or int(memory.get("total_system_memory", 0)),
            beats=beat,
            schedule_lags_s={
                name: max(0.0, now_ms / 1000 - at.timestamp()) for name, one in planned.items() if (at := one.next_at)
            },
            seen=await self._recall(sorted({split_channel(name)[0] for name in names})),
        )

    async def _recall(self, names: Sequence[str]) -> dict[str, Sighting]:
        """Read the notes of connections; those that have none are left out."""
        noted = await self._hashes({name: self._keys.last_seen(name) for name in names})
        return {name: read_sighting(notes) for name, notes in noted.items()}

    async def _look_at_connections(
        self, names: Sequence[str], all_held: str, now_ms: int
    ) -> dict[str, ConnectionSnapshot]:
        channels = {name: self._find(name) for name in names}
        buckets = {
            name: one.operation.buckets(self._settings(), one.connection) if one else []
            for name, one in channels.items()
        }
        keys = self._keys
        bases = {name: split_channel(name)[0] for name in names}
        fields = await self._hashes({name: keys.connection(name) for name in (*names, *bases.values())})
        tenants = [one.connection.tenant_key for one in channels.values() if one]
        blocked = await self._present({tenant: keys.tenant(tenant) for tenant in tenants})
        doubts = await self._doubts(names, now_ms)
        levels = await self._levels(bucket.scope for own in buckets.values() for bucket in own)
        found = {}
        for name in names:
            channel = channels[name]
            is_blocked = channel is not None and channel.connection.tenant_key in blocked
            look = found[name] = _read_connection(fields.get(name, {}), all_held, is_blocked, now_ms)
            look.held = look.held or _hold_of_all(fields.get(bases[name], {}))
            look.is_open = look.is_open and not look.held
            for bucket in buckets[name]:
                level = levels.get(bucket.scope, _FULL)
                kind, is_closed = bucket.scope.partition(":")[0], int(level[2] or 0) > now_ms
                look.levels[kind] = _read_level(bucket, level, now_ms)
                look.is_open = look.is_open and not is_closed
            look.doubts, look.oldest_doubt_s = doubts.get(name, (0, 0.0))
        return found

    async def _doubts(self, names: Sequence[str], now_ms: int) -> dict[str, tuple[int, float]]:
        """Return how many rows of each channel are in doubt, and for how long the oldest is."""
        troubled = [*await self._present({name: self._keys.doubts(name) for name in names})]
        asked: list[tuple[Any, ...]] = []
        for name in troubled:
            asked += [("ZCARD", self._keys.doubts(name)), ("ZRANGE", self._keys.doubts(name), 0, _MOST_DOUBTS - 1)]
        replies = iter(await self._ask(asked))
        return {name: (next(replies), await self._oldest(next(replies), now_ms)) for name in troubled}

    async def _levels(self, scopes: Iterable[str]) -> dict[str, Sequence[bytes | None]]:
        """Return what is kept of buckets that are not full, by their scopes."""
        known = [*await self._present({scope: self._keys.bucket(scope) for scope in scopes})]
        kept = await self._ask([("HMGET", self._keys.bucket(scope), "l", "t", "c", "r") for scope in known])
        return dict(zip(known, kept, strict=True))

    async def _hashes(self, wanted: Mapping[str, str]) -> dict[str, Mapping[bytes, bytes]]:
        """Return the hashes that there are under some keys, by what each key is wanted for."""
        known = [*await self._present(wanted)]
        return dict(zip(known, await self._ask([("HGETALL", wanted[name]) for name in known]), strict=True))

    async def _present(self, wanted: Mapping[str, str]) -> dict[str, None]:
        """Return for which of some things there is a key. Asked for many at once, and for each
        alone only where some are there and some are not: of idle connections there is next to none.
        """
        names, sure, unsure = [*wanted], dict[str, None](), list[str]()
        groups = [names[start : start + _TOGETHER] for start in range(0, len(names), _TOGETHER)]
        counts = await self._ask([("EXISTS", *(wanted[name] for name in group)) for group in groups])
        for group, count in zip(groups, counts, strict=True):
            if count == len(group):
                sure |= dict.fromkeys(group)
            elif count:
                unsure += group
        alone = await self._ask([("EXISTS", wanted[name]) for name in unsure])
        return sure | dict.fromkeys(name for name, is_there in zip(unsure, alone, strict=True) if is_there)

    async def _oldest(self, members: Sequence[bytes], now_ms: int) -> float:
        """Return how long ago the oldest of some rows in doubt was sent."""
        rows = [member.decode().rsplit(":", 2) for member in members]
        asked = [("HGET", self._keys.chunk(job, int(chunk)), f"d{row}") for job, chunk, row in rows]
        times = [int(at) for at in await self._ask(asked) if at is not None]
        return max(0, now_ms - min(times)) / 1000 if times else 0.0

    async def _look_at_jobs(self, connections: Mapping[str, ConnectionSnapshot]) -> Counter[str]:
        """Add each job's rows to its connection's backlog; return the jobs by state."""
        listed = await self._client.zrange(self._keys.jobs(), 0, -1, withscores=True)
        self._ended = {job: self._ended[job] for job in listed if job in self._ended}
        open_jobs = [job for job in listed if job not in self._ended]
        replies = await self._ask([("HMGET", self._keys.job(raw.decode()), *_JOB_FIELDS) for raw, _ in open_jobs])
        states = Counter(state for (raw, _), state in self._ended.items() if not _is_part(raw))
        for job, (connection, state, rows, *numbers, pilot, finished_at) in zip(open_jobs, replies, strict=True):
            if state is None:
                continue  # deleted meanwhile, or expired
            states[state.decode()] += not _is_part(job[0])
            if finished_at is not None:
                self._ended[job] = state.decode()
                continue
            look = connections.get((connection or b"").decode())
            if look is not None:
                *ended, waiting = (int(number or 0) for number in numbers)
                _add_job(look, state.decode(), int(rows or 0), sum(ended), waiting, int(pilot or 0))
        return states

    async def _ask(self, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
        replies: list[Any] = []
        for start in range(0, len(asked), _AT_ONCE):
            async with self._client.pipeline(transaction=False) as pipe:
                for command in asked[start : start + _AT_ONCE]:
                    pipe.execute_command(*command)
                replies += await pipe.execute()
        return replies

    def _find(self, name: str) -> Channel | None:
        connection, operation = split_channel(name)
        try:
            settings, found = self._settings(), find_operation(operation)
            return Channel(self._tenants.named(find_connection(settings, connection)), found)
        except ConfigError:
            return None  # configured elsewhere, or no more


def _is_part(job: bytes) -> bool:
    """Whether a job is a stage: part of another job, as people count them."""
    return is_stage(job.decode())


def _hold_of_all(fields: Mapping[bytes, bytes]) -> str:
    """Return for what a connection is held with all its channels, '' while it is not."""
    gate, kind = fields.get(b"gate"), fields.get(b"kind")
    reason = HoldReason(kind.decode()) if gate == b"held" and kind else None
    return reason.value if reason in WHOLE else ""


def _add_job(look: ConnectionSnapshot, state: str, rows: int, ended: int, waiting: int, pilot: int) -> None:
    look.backlog[state] += rows - ended
    if state == "running" and look.is_open and all(level.tokens >= 1 for level in look.levels.values()):
        last = min(pilot, rows) if pilot else rows
        look.due += max(0, last - ended - waiting)


def _read_connection(fields: Mapping[bytes, bytes], all_held: str, blocked: bool, now_ms: int) -> ConnectionSnapshot:
    text = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
    held = all_held or (text.get("kind", "") if text.get("gate") == "held" else "")
    held = held or ("abuse" if blocked else "")
    ends = text.get("credential_ends")
    return ConnectionSnapshot(
        accepted=int(text.get("accepted", 0)),
        ended={name.removeprefix("ended:"): int(n) for name, n in text.items() if name.startswith("ended:")},
        resolved={name.removeprefix("resolved:"): int(n) for name, n in text.items() if name.startswith("resolved:")},
        throttled=int(text.get("throttled", 0)),
        closed_s=int(text.get("closed_ms", 0)) / 1000,
        held=held,
        is_open=not held and int(text.get("closed_until", 0)) <= now_ms,
        credential_ends_s=int(ends) / 1000 if ends else None,
    )


def _read_level(bucket: Bucket, fields: Sequence[bytes | None], now_ms: int) -> Level:
    """Return a bucket's level now, in rows, about as `bucket_read` of `_quota.lua` reckons it."""
    amount, window_ms = bucket.amount, bucket.window_ms
    if not window_ms:  # the guarded pace: at least its first rate
        amount, window_ms = max(1.0, bucket.amount / 60), round(max(1.0, bucket.amount / 60) / bucket.amount * 60_000)
    if fields[0] is None:
        return Level(amount / bucket.cost, amount / bucket.cost)
    rate = float(fields[3]) if fields[3] else amount / window_ms  # learned from 429s, where there were any
    level = float(fields[0]) + max(0, now_ms - int(fields[1] or now_ms)) * rate
    return Level(max(0.0, min(amount, level)) / bucket.cost, amount / bucket.cost)
