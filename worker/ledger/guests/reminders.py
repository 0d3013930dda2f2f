"""Reminders are remembered, per tenant and guest: how often a guest was mailed again, and when.

A reminder is noted before it leaves, by the job that sends it. So a job goes on by its own note
after a crash or a throttled call, and no other job reminds that guest before the time. Where Graph
refused it the note is taken back; where the answer was lost it stays: rather a reminder too few.

Guests stand there by their object id, so that one guest with two addresses is one guest, as the
keyed hash of the index of guests; a note says, by the hash of its row's address, whose row made it.

Likewise is remembered of whose end somebody was told, once for each guest and day: by object id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from worker.ledger.scripts import InLedger, to_ms

if TYPE_CHECKING:
    from worker.ledger.guests.guest_index import GuestIndex
    from worker.ledger.keys import Keys

KEPT_S = 400 * 86_400.0
"""After so long without any reminder in a tenant its reminders are forgotten."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """How often one guest is reminded at most, and how long apart."""

    every_s: float
    times: int


@dataclass(frozen=True, slots=True)
class Reminding:
    """A row that is about to remind a guest. `since_s`: since when they are one, in seconds since
    the epoch.
    """

    user_id: str
    email: str = field(repr=False)
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reminded:
    """How a guest was reminded before. `job`: the root of the last time."""

    times: int
    last: datetime
    job: str = ""


class Reminders(InLedger):
    """The memory of reminders, of all tenants."""

    def __init__(self, client: Redis, keys: Keys, index: GuestIndex) -> None:
        super().__init__(client, keys)
        self._index = index

    async def note(
        self, tenant_key: str, job: str, guests: Mapping[int, Reminding], spacing: Spacing
    ) -> dict[int, Reminded]:
        """Note that a job reminds guests, by row. Returns those that it may not remind, with how
        they were. Raises `SealError`.
        """
        if not guests:
            return {}
        base, whose = await self._hash(tenant_key, {row: (one.user_id, one.email) for row, one in guests.items()})
        told = [part for row, one in guests.items() for part in (*whose[row], to_ms(max(0.0, one.since_s)))]
        found = await self._scripts["remind"](
            keys=[self._keys.reminders(base)], args=[job, to_ms(spacing.every_s), spacing.times, to_ms(KEPT_S), *told]
        )
        return {row: _read(note) for row, note in zip(guests, found, strict=True) if note}

    async def read(self, tenant_key: str, ids: Mapping[int, str]) -> dict[int, Reminded]:
        """Return how some guests were reminded, by their object ids. Raises `SealError`."""
        if not ids:
            return {}
        place = await self._index.place(tenant_key, ids)
        hashes = [place.hashes[row] for row in ids]
        notes = await self._client.hmget(self._keys.reminders(place.base), hashes)
        return {row: _read(note) for row, note in zip(ids, notes, strict=True) if note}

    async def take_back(self, tenant_key: str, job: str, guests: Mapping[int, tuple[str, str]]) -> None:
        """Forget what a job has noted of guests whose reminder was refused: (object id, address) by
        row. Raises `SealError`.
        """
        if not guests:
            return
        base, whose = await self._hash(tenant_key, guests)
        told = [part for row in guests for part in whose[row]]
        await self._scripts["unremind"](keys=[self._keys.reminders(base)], args=[job, *told])

    async def _hash(
        self, tenant_key: str, guests: Mapping[int, tuple[str, str]]
    ) -> tuple[str, dict[int, tuple[bytes, str]]]:
        """Return where a tenant's reminders stand, and of each row the guest there and the row."""
        by_id = await self._index.place(tenant_key, {row: user_id for row, (user_id, _) in guests.items()})
        by_email = await self._index.place(tenant_key, {row: email for row, (_, email) in guests.items()})
        return by_id.base, {row: (by_id.hashes[row], by_email.hashes[row].hex()) for row in guests}

    async def note_ends(self, tenant_key: str, job: str, ends: Mapping[int, tuple[str, str]]) -> set[int]:
        """Note that a job tells of guests' ends: (object id, day) by row. Returns the rows of which
        another job has told.
        """
        if not ends:
            return set()
        key = self._keys.told_ends(tenant_key)
        async with self._client.pipeline(transaction=True) as pipe:
            for end in ends.values():
                pipe.hsetnx(key, _end(end), job)
                pipe.hget(key, _end(end))
            pipe.pexpire(key, to_ms(KEPT_S))
            found = await pipe.execute()
        return {row for row, whose in zip(ends, found[1::2], strict=False) if whose.decode() != job}

    async def find_told_ends(self, tenant_key: str, ends: Mapping[int, tuple[str, str]]) -> set[int]:
        """Return the rows of which some job has told."""
        if not ends:
            return set()
        found = await self._client.hmget(self._keys.told_ends(tenant_key), list(map(_end, ends.values())))
        return {row for row, whose in zip(ends, found, strict=True) if whose is not None}

    async def take_back_ends(self, tenant_key: str, ends: Mapping[int, tuple[str, str]]) -> None:
        """Forget what the job that holds these rows has noted: nobody was told."""
        if ends:
            await self._client.hdel(self._keys.told_ends(tenant_key), *map(_end, ends.values()))


def _read(note: bytes) -> Reminded:
    times, at_ms, job, *_ = note.decode().split(":")
    return Reminded(int(times), datetime.fromtimestamp(int(at_ms) / 1000, UTC), job)


def _end(end: tuple[str, str]) -> str:
    object_id, day = end
    return f"{object_id.lower()}/{day}"
