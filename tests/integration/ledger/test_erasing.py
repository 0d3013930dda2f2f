"""What is erased leaves the append-only file of the private server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ledgers import Desk, open_desk
from tests.sites import OwnValkey
from worker.ledger.erasing import rewrite_now
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.model import Outcome, RowState
from worker.people.forget import forget
from worker.store.keyring import no_sealer


async def _ended_job(desk: Desk) -> bytes:
    """Return the rows of a job that has ended, as they lie in Redis: packed, so that no server
    packs them once more.
    """
    job = await desk.load(3)
    packed: bytes = await desk.ledger.client.hget(desk.keys.chunk(job, 0), "rows")
    lease = await desk.lease()
    grant = await desk.begin(lease)
    outcomes = [Outcome(row.index, RowState.DONE, attempts=row.attempt) for row in grant.rows]
    await desk.ledger.record_batch(job, 0, "contoso", lease.ticket.lane, grant.batch, outcomes)
    await desk.ledger.fold(job, 0)
    await desk.ledger.release(lease)
    return packed


def _holds(folder: Path, packed: bytes) -> bool:
    return any(packed in path.read_bytes() for path in (folder / "appendonlydir").iterdir())


@pytest.mark.parametrize("how", ["forgotten", "deleted", "expired"])
async def test_what_is_erased_leaves_the_append_only_file(own_valkey: OwnValkey, how: str) -> None:
    """A person who is forgotten, a job that is deleted, one that has been kept long enough; nothing
    is rewritten where nothing went.
    """
    async with open_desk(own_valkey.url) as desk:
        client: Any = desk.client
        packed = await _ended_job(desk)
        await rewrite_now(desk.client, desk.keys)
        await client.waitaof(1, 0, 5000)
        assert _holds(own_valkey.folder, packed)
        match how:
            case "forgotten":
                await forget(desk.ledger, GuestIndex(desk.client, desk.keys, no_sealer), "j1-1@example.com")
            case "deleted":
                await desk.jobs.delete("j1")
            case _:
                await client.pexpire(desk.keys.chunk("j1", 0), 1)
                await client.pexpire(desk.keys.job("j1"), 1)
                while await client.exists(desk.keys.job("j1"), desk.keys.chunk("j1", 0)):
                    pass
                await desk.jobs.expire_ended()
        assert _holds(own_valkey.folder, packed)
        await rewrite_now(desk.client, desk.keys)
        assert not _holds(own_valkey.folder, packed)


async def test_a_full_server_gets_rid_of_a_job(own_valkey: OwnValkey) -> None:
    """The note that something went is an entry itself, for which there is no room."""
    async with open_desk(own_valkey.url) as desk:
        await _ended_job(desk)
        client: Any = desk.client
        await client.config_set("maxmemory", "1")
        assert await desk.jobs.delete("j1")
        assert not await client.exists(desk.keys.jobs())
