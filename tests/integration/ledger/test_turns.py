"""Connections of one application take turns at what comes into its bucket, on a real server."""

from __future__ import annotations

import pytest

from tests.ledgers import Desk
from worker.ledger.model import Grant, Lane, Lease
from worker.ledger.quota import Bucket

APP = Bucket("writes-app:msp", 40, 4_000, in_turn=True)
"""Two batches, then one in two seconds."""


@pytest.fixture
async def leases(desk: Desk) -> dict[str, Lease]:
    """A chunk each of five connections, in somebody's seat; the first two have emptied the
    bucket.
    """
    desk.buckets = [APP]
    for name in "abcde":
        await desk.load(100, name)
    claimed = [await desk.ledger.claim(ticket) for ticket in await desk.tick("w1", 32)]
    found = {lease.ticket.connection: lease for lease in claimed if lease}
    asked = await ask(desk, found, "a", "b")
    assert [len(grant.rows) for grant in asked.values()] == [20, 20]
    return found


async def ask(desk: Desk, leases: dict[str, Lease], *names: str) -> dict[str, Grant]:
    """Ask for the next batch of each, one after the other."""
    grants = {}
    for name in names:
        lease = leases[name]
        letters = await desk.letters(lease.ticket.job)
        grants[name] = await desk.begin(lease, [i for i, letter in enumerate(letters) if letter == "."][:20])
    return grants


async def fill(desk: Desk, tokens: int) -> None:
    """Let so much be in the bucket."""
    await desk.ledger.client.hset(desk.keys.bucket(APP.scope), "l", tokens)


async def test_who_waits_comes_back_when_it_is_its_turn(desk: Desk, leases: dict[str, Lease]) -> None:
    """In the order of asking, a batch's time apart; asking again changes nothing."""
    for _ in range(2):
        waits = [grant.wait_s for grant in (await ask(desk, leases, "c", "d", "a")).values()]
        assert [round(wait_s) for wait_s in waits] == [2, 4, 6]


async def test_what_comes_in_is_for_whoever_is_first_in_line(desk: Desk, leases: dict[str, Lease]) -> None:
    """However often the others ask; then for the next, and who was served goes behind all."""
    await ask(desk, leases, "c", "d")
    await fill(desk, 20)
    asked = await ask(desk, leases, "a", "d", "c")
    assert [len(grant.rows) for grant in asked.values()] == [0, 0, 20]
    assert round((await ask(desk, leases, "c"))["c"].wait_s) == 6  # behind d and a
    await fill(desk, 20)
    asked = await ask(desk, leases, "c", "a", "d")
    assert [len(grant.rows) for grant in asked.values()] == [0, 0, 20]


async def test_what_is_there_for_all_ahead_lets_others_go_before(desk: Desk, leases: dict[str, Lease]) -> None:
    """One that is late holds up nobody."""
    await ask(desk, leases, "c", "d")
    await fill(desk, 40)
    assert len((await ask(desk, leases, "d"))["d"].rows) == 20
    assert len((await ask(desk, leases, "c"))["c"].rows) == 20


async def test_who_does_not_come_back_loses_its_place(desk: Desk, leases: dict[str, Lease]) -> None:
    """Its connection was held, say: what is kept for it is kept for seconds."""
    await ask(desk, leases, "c", "d")
    await desk.ledger.client.zadd(f"{desk.keys.bucket(APP.scope)}:line-due", {"c": 1})
    await fill(desk, 20)
    assert len((await ask(desk, leases, "d"))["d"].rows) == 20


async def test_a_single_guest_stands_in_no_line(desk: Desk, leases: dict[str, Lease]) -> None:
    """Somebody waits for it."""
    await ask(desk, leases, "c", "d")
    await desk.load(1, "e", lane=Lane.NOW)
    await fill(desk, 5)
    ticket = next(t for t in await desk.tick("w1", 32) if t.lane is Lane.NOW)
    lease = await desk.ledger.claim(ticket)
    assert lease is not None
    assert len((await desk.begin(lease)).rows) == 1


async def test_one_alone_has_no_line_before_it(desk: Desk, leases: dict[str, Lease]) -> None:
    """It waits for its own batch, each time anew."""
    for _ in range(3):
        assert round((await ask(desk, leases, "a"))["a"].wait_s) == 2
        await fill(desk, 20)
        assert len((await ask(desk, leases, "a"))["a"].rows) == 20
