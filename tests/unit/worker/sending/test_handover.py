"""Who gets an offer without a message."""

from __future__ import annotations

import asyncio

from worker.ledger.model import Lane, Ticket
from worker.sending.handover import Handover


def _ticket(job: str, chunk: int = 0, lane: Lane = Lane.BULK) -> Ticket:
    return Ticket(job, chunk, 1, "contoso", lane)


async def test_an_offer_goes_to_the_seat_that_waits_for_its_job() -> None:
    """First come, first served; what nobody waits for is left."""
    handover = Handover()
    first, second = (asyncio.create_task(handover.wait("a")) for _ in range(2))
    await asyncio.sleep(0)
    offers = [(_ticket("b"), 3), (_ticket("a", 1), 3), (_ticket("a", 2), 3), (_ticket("a", 3), 3)]
    assert handover.pass_on(offers) == [offers[0], offers[3]]
    assert (await first, await second) == (_ticket("a", 1), _ticket("a", 2))


async def test_a_look_up_is_nobodys_next_chunk() -> None:
    """Even if its job's name were that of a job."""
    handover = Handover()
    seat = asyncio.create_task(handover.wait("a"))
    await asyncio.sleep(0)
    offers = [(_ticket("a", lane=Lane.DOUBT), 1)]
    assert handover.pass_on(offers) == offers
    handover.dismiss()
    assert await seat is None


async def test_who_came_during_the_tick_waits_for_the_next_one() -> None:
    """Its seat may have become free too late for this one."""
    handover = Handover()
    early = asyncio.create_task(handover.wait("a"))
    await asyncio.sleep(0)
    waiting = handover.waiting()
    late = asyncio.create_task(handover.wait("a"))
    await asyncio.sleep(0)
    handover.dismiss(waiting)
    assert await early is None
    assert not late.done()
    assert handover.pass_on([(_ticket("a"), 1)]) == []
    assert await late == _ticket("a")


async def test_a_seat_whose_task_was_cancelled_takes_nothing() -> None:
    """The offer goes to the next one, or by message."""
    handover = Handover()
    seat = asyncio.create_task(handover.wait("a"))
    await asyncio.sleep(0)
    seat.cancel()
    await asyncio.wait({seat})
    offers = [(_ticket("a"), 1)]
    assert handover.pass_on(offers) == offers
    assert handover.waiting() == []
