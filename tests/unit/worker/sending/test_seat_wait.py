from __future__ import annotations

import asyncio

from worker.sending.seat_wait import BESIDE_S, MOST_S, SeatWait


async def test_a_moment_is_waited_out_and_then_asked_again() -> None:
    """One chunk of a connection stays where it is."""
    assert await SeatWait(seats=4).wait("a", 0.001) is None


async def test_longer_waits_give_the_chunk_back() -> None:
    """A seat is not held for what takes long."""
    assert await SeatWait(seats=4).wait("a", MOST_S + 0.1) == MOST_S + 0.1


async def test_one_chunk_of_a_connection_waits_and_one_connection_in_two_seats() -> None:
    """A second chunk is given back for a while, as the next tokens are taken; and half of the seats
    stay free of waiting ones.
    """
    seat_wait = SeatWait(seats=4)
    waiting = [asyncio.create_task(seat_wait.wait(name, 0.05)) for name in ("a", "b")]
    await asyncio.sleep(0)
    assert await seat_wait.wait("c", 0.01) == 0.01
    assert await SeatWait(seats=0).wait("a", 0.01) == 0.01
    seat_wait.seats = 6
    assert await seat_wait.wait("a", 0.01) == BESIDE_S
    assert await asyncio.gather(*waiting) == [None, None]
    assert await seat_wait.wait("c", 0.001) is None
