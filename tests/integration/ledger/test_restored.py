"""A ledger that is older than what somebody remembers, emptied, or unknown: what is held, and until
when.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.ledgers import Desk, another, change_server, end_quiet, let_pass
from worker.ledger.gates import HoldReason
from worker.process.epochs import Epochs

AN_HOUR_MS = 3_600_000


async def test_an_older_ledger_than_somebody_remembers_is_held(desk: Desk) -> None:
    """A restored backup: nothing is sent, whoever notices it first, until a person has seen to
    it.
    """
    await desk.load(10)
    mine = Epochs(desk.ledger)
    await mine.beat()
    lease = await desk.lease()
    await change_server(desk, ago_ms=AN_HOUR_MS)
    await Epochs(another(desk)).beat()  # a process that has just started knows nothing
    await mine.beat()
    assert (await desk.begin(lease)).why == "held"
    gate = await desk.gates.of("contoso")
    assert gate.kind is HoldReason.OPERATOR
    assert "usher jobs verify" in gate.why
    assert await desk.field(desk.keys.epoch(), "restored_from")


async def test_a_restored_offer_is_not_claimed_while_everything_is_held(desk: Desk) -> None:
    """The backup held one, and its message: a look-up before the first send would take whoever was
    invited since for a guest of before.
    """
    await desk.load(10)
    mine = Epochs(desk.ledger)
    await mine.beat()
    (offer,) = await desk.tick()
    await change_server(desk, ago_ms=AN_HOUR_MS)
    await mine.beat()  # it remembers more than this ledger holds, and has nothing to wait for
    assert (await desk.gates.of("contoso")).held
    assert not await desk.field(desk.keys.epoch(), "quiet_until")
    assert await desk.ledger.claim(offer) is None
    assert await desk.tick() == []
    await desk.gates.reopen_everything()
    assert (await desk.lease()).ticket != offer


async def test_a_restore_is_over_once_a_person_has_reopened_what_it_held(desk: Desk) -> None:
    """Until then `usher jobs verify` takes who was created since for invited by the lost rows;
    afterwards for a guest of before.
    """
    await desk.load(10)
    client: Any = desk.client
    await client.hset(desk.keys.epoch(), "restored_from", 1)
    await desk.gates.hold("contoso", HoldReason.RESTORED, "It cannot be verified.")
    await desk.gates.hold_everything("A test.")
    await desk.gates.reopen("other")
    await desk.gates.reopen_everything()
    assert await desk.field(desk.keys.epoch(), "restored_from") == "1"
    await desk.gates.hold_everything("A test.")
    await desk.gates.reopen("contoso")
    assert await desk.field(desk.keys.epoch(), "restored_from") == "1"
    await desk.gates.reopen_everything()
    assert await desk.field(desk.keys.epoch(), "restored_from") == ""
    await client.hset(desk.keys.epoch(), "restored_from", 1)
    await desk.gates.hold("contoso", HoldReason.RESTORED, "It cannot be verified.")
    await desk.gates.reopen("contoso")
    assert await desk.field(desk.keys.epoch(), "restored_from") == ""


async def test_an_emptied_ledger_is_held(desk: Desk) -> None:
    """Whoever remembers what was there says so."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    client: Any = desk.client
    await client.delete(desk.keys.epoch(), desk.keys.here())
    await mine.beat()
    assert "usher jobs verify" in (await desk.gates.of("contoso")).why


@pytest.mark.parametrize(
    ("ago_ms", "private", "goodbye", "held"),
    [
        (AN_HOUR_MS, False, False, True),
        (AN_HOUR_MS, True, False, False),
        (AN_HOUR_MS, False, True, False),
        (60_000, False, False, False),
    ],
    ids=["long ago", "on the private server", "said goodbye", "a restart"],
)
async def test_a_ledger_that_nobody_remembers(
    desk: Desk, ago_ms: int, private: bool, goodbye: bool, held: bool
) -> None:
    """All processes are new: one whose last workers just vanished, long ago, is taken for a
    restored one.
    """
    before = Epochs(another(desk), private=private)
    await before.beat()
    if goodbye:
        await before.close()
        client: Any = desk.client
        await desk.ledger.heartbeat.say_goodbye((await client.zrange(desk.keys.here(), 0, -1))[0].decode())
    await change_server(desk, ago_ms=ago_ms)
    after = Epochs(desk.ledger, private=private)
    await after.beat()
    assert not (await desk.gates.of("contoso")).held, "not before those who may remember had their time"
    await end_quiet(desk)
    await after.beat()
    assert (await desk.gates.of("contoso")).held is held


async def test_who_remembers_vouches_for_the_ledger(desk: Desk) -> None:
    """Redis was away for an hour, and a worker waited for it: nothing was lost, whoever else has
    started meanwhile.
    """
    waited, dead = Epochs(desk.ledger), Epochs(another(desk))
    await waited.beat()
    await dead.beat()
    await change_server(desk)
    await let_pass(desk, AN_HOUR_MS)
    await Epochs(another(desk)).beat()
    await waited.beat()
    await end_quiet(desk)
    await waited.beat()
    assert not (await desk.gates.of("contoso")).held
