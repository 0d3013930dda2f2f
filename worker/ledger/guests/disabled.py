"""Whom usher has disabled is remembered, per tenant: the guest's object id, when, and by which job.

Who cleans up may delete only such guests, and after a time. So a note is made when the guest is
known to be disabled by usher, never before: of whom nobody can tell there is none, and they stay.
A worker that is killed between the two finds the guest disabled by its own earlier try, and notes
it then. The last time counts: who is disabled twice was let in between, mostly by a person, of whom
usher hears nothing. Enabled or deleted again by usher, or forgotten, a guest's note goes; it has no
other end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime

from worker.ledger.scripts import InLedger


class Disabled(InLedger):
    """The memory of who was disabled, of all tenants."""

    async def note(self, tenant_key: str, job: str, ids: Collection[str]) -> None:
        """Note that a job has disabled guests now. `job`: the root."""
        if ids:
            await self._scripts["note_disabled"](keys=[self._keys.disabled(tenant_key)], args=[job, *_folded(ids)])

    async def read(self, tenant_key: str, ids: Collection[str]) -> dict[str, datetime]:
        """Return when some guests were disabled, by the ids as they were given; without those whom
        usher has not disabled.
        """
        return {id_: _instant(note) for id_, note in (await self._notes(tenant_key, ids)).items()}

    async def read_jobs(self, tenant_key: str, ids: Collection[str]) -> dict[str, str]:
        """Return by which job some guests were disabled last, likewise."""
        return {id_: note.partition(":")[2] for id_, note in (await self._notes(tenant_key, ids)).items()}

    async def _notes(self, tenant_key: str, ids: Collection[str]) -> dict[str, str]:
        if not ids:
            return {}
        notes = await self._client.hmget(self._keys.disabled(tenant_key), _folded(ids))
        return {id_: note.decode() for id_, note in zip(ids, notes, strict=True) if note is not None}

    async def drop(self, tenant_key: str, ids: Collection[str]) -> None:
        """Forget guests of one tenant, who can sign in again or are gone."""
        if ids:
            await self._client.hdel(self._keys.disabled(tenant_key), *_folded(ids))

    async def find(self, object_id: str) -> AsyncIterator[tuple[str, datetime]]:
        """Yield the tenants in which a guest was disabled, and when."""
        start = self._keys.disabled("")
        async for raw in self._client.scan_iter(match=f"{start}*", count=1000):
            tenant_key = raw.decode().removeprefix(start)
            for at in (await self.read(tenant_key, [object_id])).values():
                yield tenant_key, at

    async def forget(self, object_id: str) -> int:
        """Forget a guest in all tenants; returns in how many they stood."""
        tenants = [tenant_key async for tenant_key, _ in self.find(object_id)]
        for tenant_key in tenants:
            await self.drop(tenant_key, [object_id])
        return len(tenants)


def _folded(ids: Collection[str]) -> list[str]:
    return [id_.lower() for id_ in ids]


def _instant(note: str) -> datetime:
    return datetime.fromtimestamp(int(note.partition(":")[0]) / 1000, UTC)
