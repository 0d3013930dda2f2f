"""A flood of refusals leaves a number in the audit trail, and not as many entries."""

from __future__ import annotations

import asyncio

from tests.ledgers import Desk
from worker.ledger.audit.floods import AT_ONCE, Floods
from worker.ledger.audit.trail import Trail
from worker.producers import note_refused


async def test_a_flood_of_refusals_is_a_number(desk: Desk) -> None:
    """Each is written until there are many; what comes then is summed up."""
    trail = Trail(desk.client, desk.keys, keep_s=3600)
    trail.floods = Floods(sum_after_s=0, clock=lambda: 0.0)
    await asyncio.gather(*(note_refused(trail, None, "usher_token is missing.", task="x") for _ in range(AT_ONCE + 7)))
    await trail.floods.settled()
    whys = [str(event.facts["why"]) async for event in trail.events()]
    assert whys.count("usher_token is missing.") == AT_ONCE
    assert len(whys) == AT_ONCE + 1
    assert "7 more were refused within a minute, and are not written one by one." in whys


def test_time_makes_room_again() -> None:
    """Of each sender by itself, and never for more than at first."""
    now_s = 0.0
    floods = Floods(clock=lambda: now_s)
    assert [floods.take("crm") for _ in range(AT_ONCE + 2)].count(True) == AT_ONCE
    assert floods.take("hr")
    now_s = 6.0
    assert [floods.take("crm") for _ in range(2)] == [True, False]
    now_s = 10.0**6
    assert [floods.take("crm") for _ in range(AT_ONCE + 2)].count(True) == AT_ONCE
