"""The ledger remembers whom usher has disabled, by tenant, and since when."""

from __future__ import annotations

from tests.ledgers import Desk
from worker.ledger.guests.disabled import Disabled

ANN = "AAAAAAAA-1111-1111-1111-111111111111"
BO = "bbbbbbbb-1111-1111-1111-111111111111"


async def test_the_last_time_counts_until_it_is_dropped(desk: Desk) -> None:
    """By id, however it is written; each tenant's apart. Twice disabled is let in between."""
    memory = Disabled(desk.client, desk.keys)
    await memory.note("one", "first", [ANN, BO])
    first = await memory.read("one", [ANN.lower(), BO, "cccccccc-1111-1111-1111-111111111111"])
    assert set(first) == {ANN.lower(), BO}
    for _ in range(20):  # the clock counts milliseconds
        await memory.note("one", "second", [ANN])
    assert (await memory.read("one", [ANN]))[ANN] >= first[ANN.lower()]
    assert await memory.read("one", [BO]) == {BO: first[BO]}
    assert await memory.read_jobs("one", [ANN, BO]) == {ANN: "second", BO: "first"}
    assert await memory.read("two", [ANN]) == {}
    await memory.drop("one", [ANN])
    assert set(await memory.read("one", [ANN, BO])) == {BO}
    assert await memory.read("one", []) == {}


async def test_a_person_is_found_and_forgotten_in_every_tenant(desk: Desk) -> None:
    """And nobody else is."""
    memory = Disabled(desk.client, desk.keys)
    for tenant in ("one", "two"):
        await memory.note(tenant, "a", [ANN, BO])
    assert {tenant async for tenant, _ in memory.find(ANN)} == {"one", "two"}
    assert await memory.forget(ANN) == 2
    assert [tenant async for tenant, _ in memory.find(ANN)] == []
    assert len([tenant async for tenant, _ in memory.find(BO)]) == 2
    assert await memory.forget(ANN) == 0
