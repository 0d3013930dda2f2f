"""The key of the index of guests: every process uses the one that lies in the ledger now, sealed
with the newest ledger key.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledgers import Desk, new_key_text, open_desk
from worker.errors import SealBroken
from worker.ledger.gates import HoldReason
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.model import Outcome, RowState
from worker.store.keyring import no_sealer
from worker.store.seal import Sealer

EMAIL = {0: "ada@partner.example"}


async def _hash(index: GuestIndex) -> bytes:
    return (await index.place("tenant", EMAIL)).hashes[0]


async def test_two_processes_agree_after_the_server_was_emptied(desk: Desk) -> None:
    """One that knew the key of before takes the new one: else two jobs for one guest would not
    meet.
    """
    client: Any = desk.client
    one, other = (GuestIndex(desk.client, desk.keys, no_sealer) for _ in range(2))
    before = await _hash(one)
    assert await _hash(other) == before
    await client.delete(desk.keys.index_key(), desk.keys.index_tenants())
    after = await _hash(one)
    assert after != before
    assert await _hash(other) == after
    assert await client.smembers(desk.keys.index_tenants()) == {b"tenant"}


async def test_another_key_that_was_restored_counts_from_the_next_use(desk: Desk) -> None:
    """The hashes that were restored with it are of that key."""
    client: Any = desk.client
    index = GuestIndex(desk.client, desk.keys, no_sealer)
    backup = await _hash(index), await client.get(desk.keys.index_key())
    await client.set(desk.keys.index_key(), b"k" * 32)
    assert await _hash(index) != backup[0]
    await client.set(desk.keys.index_key(), backup[1])
    assert await _hash(index) == backup[0]


async def test_sealing_anew_keeps_the_key(desk: Desk) -> None:
    """Bare, then sealed, then sealed with the next key: the hashes stay, and each earlier ledger
    key opens no more.
    """
    old, new = new_key_text(), new_key_text()
    ways = [no_sealer, lambda: Sealer([old]), lambda: Sealer([new, old]), lambda: Sealer([new])]
    hashes = {await _hash(GuestIndex(desk.client, desk.keys, way)) for way in ways}
    assert len(hashes) == 1
    for way in (no_sealer, lambda: Sealer([old])):
        with pytest.raises(SealBroken, match=r"\[ledger\].key"):
            await _hash(GuestIndex(desk.client, desk.keys, way))


async def test_links_outlive_a_fold_without_their_key(valkey_url: str) -> None:
    """A chunk whose links do not open here is left as it is; with the key back they are read."""
    keys = [new_key_text()]
    async with open_desk(valkey_url, sealer=Sealer(keys)) as desk:
        job = await desk.load(1)
        lease = await desk.lease()
        grant = await desk.begin(lease)
        outcome = Outcome(0, RowState.DONE, redeem_url="https://x/1", attempts=1)
        t = lease.ticket
        await desk.ledger.record_batch(t.job, 0, t.connection, t.lane, grant.batch, [outcome])
        right = desk.ledger.sealer
        for wrong in (no_sealer, lambda: Sealer([new_key_text()])):
            desk.ledger.sealer = wrong
            assert not await desk.ledger.fold(job, 0)
        desk.ledger.sealer = right
        assert await desk.ledger.fold(job, 0)
        [record] = [record async for record in desk.jobs.rows.results(job)]
        assert record["redeem_url"] == "https://x/1"


async def test_a_hold_for_want_of_a_key_replaces_none_and_outlives_none(desk: Desk) -> None:
    """What a person held stays held when the key is back; a hold for the key is told once and ends
    by itself.
    """
    await desk.gates.hold_everything("A person's.")
    await desk.gates.hold_everything("No key.", HoldReason.KEY)
    assert (await desk.gates.of("contoso")).why == "A person's."
    assert not await desk.gates.reopen_everything(HoldReason.KEY)
    assert (await desk.gates.of("contoso")).held
    await desk.gates.reopen_everything()
    await desk.gates.hold_everything("No key.", HoldReason.KEY)
    gate = await desk.gates.of("contoso")
    assert (gate.why, gate.kind, gate.ends_by_itself) == ("No key.", HoldReason.KEY, True)
    assert await desk.gates.reopen_everything(HoldReason.KEY)
    assert not (await desk.gates.of("contoso")).held
