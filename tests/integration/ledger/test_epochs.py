"""Epochs at the ledger: another server, a silence, an older state. What each lets go, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.ledgers import Desk, open_desk
from worker.ledger.batches import Ledger
from worker.ledger.gates import HoldReason
from worker.ledger.model import Lane, Outcome, RowState
from worker.process.epochs import Epochs

AN_HOUR_MS = 3_600_000


@pytest.fixture
async def desk(valkey_url: str) -> AsyncIterator[Desk]:
    """A ledger of its own."""
    async with open_desk(valkey_url) as desk:
        yield desk


def another(desk: Desk) -> Ledger:
    """The ledger as another process has it."""
    return Ledger(desk.client, desk.keys)


async def change_server(desk: Desk, *, ago_ms: int = 0) -> None:
    """Let the ledger be met on another server than it was left on, its last beat so long ago."""
    client: Any = desk.client
    beat = int(await desk.field(desk.keys.epoch(), "beat"))
    await client.hset(desk.keys.epoch(), mapping={"id": "another", "beat": beat - ago_ms})
    for process in await client.zrange(desk.keys.here(), 0, -1):
        await client.zadd(desk.keys.here(), {process: beat - ago_ms})


async def let_pass(desk: Desk, ms: int, *others: Ledger) -> None:
    """Let everything that was last seen have been seen so much earlier."""
    client: Any = desk.client
    await client.hincrby(desk.keys.epoch(), "beat", -ms)
    for process in await client.zrange(desk.keys.here(), 0, -1):
        await client.zincrby(desk.keys.here(), -ms, process)
    for ledger in (desk.ledger, *others):
        ledger.heartbeat._seen_ms -= ms


async def end_quiet(desk: Desk) -> None:
    """Let the time have passed that others are waited for."""
    client: Any = desk.client
    for name in ("quiet_until", "settle_from"):
        if await client.hexists(desk.keys.epoch(), name):
            await client.hset(desk.keys.epoch(), name, 1)


async def test_nothing_begins_on_a_server_that_nobody_has_looked_at(desk: Desk) -> None:
    """A batch asks the server itself; one beat later, with nobody to wait for, it goes on."""
    await desk.load(40)
    mine = Epochs(desk.ledger)
    await mine.beat()
    lease = await desk.lease()
    assert (await desk.begin(lease, range(20))).rows
    await change_server(desk)
    assert (await desk.begin(lease, range(20, 40))).why == "epoch"
    assert desk.ledger.heartbeat.outdated.is_set()
    await mine.beat()
    assert len((await desk.begin(lease, range(20, 40))).rows) == 20


async def test_who_was_at_work_is_waited_for(desk: Desk) -> None:
    """Two processes were here: the first that comes in sends nothing before the second, or before
    its time is over.
    """
    await desk.load(300)
    first, second = Epochs(desk.ledger), Epochs(another(desk))
    await first.beat()
    await second.beat()
    lease = await desk.lease()
    await desk.load(10, "other")
    await change_server(desk)
    await first.beat()
    assert (await desk.begin(lease, range(20))).why == "epoch"
    assert await desk.tick() == []
    await second.beat()
    await first.beat()
    assert (await desk.begin(lease, range(20))).rows
    assert await desk.tick()
    await change_server(desk)
    await first.beat()
    await end_quiet(desk)
    await first.beat()
    assert (await desk.begin(lease, range(20, 40))).rows, "the second is dead, and what it sent is visible by now"


async def test_who_has_not_come_in_begins_nothing(desk: Desk) -> None:
    """A process that slept through it all writes its own again before it asks for work."""
    await desk.load(100)
    sleeper, other = Epochs(desk.ledger), Epochs(another(desk))
    await sleeper.beat()
    await other.beat()
    lease = await desk.lease()
    await change_server(desk)
    await other.beat()
    await end_quiet(desk)
    await other.beat()
    assert (await desk.begin(lease)).why == "epoch"
    await sleeper.beat()
    assert (await desk.begin(lease)).rows


async def test_lost_marks_and_outcomes_are_written_again(desk: Desk) -> None:
    """Of three batches the ledger forgets two: what was heard is recorded, what was not is in
    doubt, what was refused is left alone.
    """
    client: Any = desk.client
    mine = Epochs(desk.ledger)
    await mine.beat()
    job = await desk.load(100)
    lease = await desk.lease()
    kept = await desk.begin(lease)
    await desk.record(lease, kept)
    lease.letters = await desk.letters(job)
    keys = (desk.keys.job(job), desk.keys.chunk(job, 0))
    before = [await client.dump(key) for key in keys]
    heard = await desk.begin(lease)
    t = lease.ticket
    outcomes = [Outcome(row.index, RowState.DONE if row.index < 30 else RowState.PENDING) for row in heard.rows]
    await desk.ledger.record_batch(job, 0, t.connection, t.lane, heard.batch, outcomes)
    unheard = await desk.begin(lease, range(40, 60))
    assert len(unheard.rows) == 20
    for key, value in zip(keys, before, strict=True):
        await client.restore(key, 0, value, replace=True)
    await client.delete(desk.keys.leases())
    await change_server(desk)
    await mine.beat()
    assert await desk.letters(job) == "i" * 30 + "." * 10 + "d" * 20 + "." * 40
    assert await desk.field(desk.keys.job(job), "open") == "20"
    await desk.record(lease, unheard)
    assert await desk.letters(job) == "i" * 30 + "." * 10 + "i" * 20 + "." * 40
    assert await desk.field(desk.keys.job(job), "n:i") == "50"


async def test_what_was_not_lost_is_not_touched(desk: Desk) -> None:
    """The server was restarted with all it had: rows that went back meanwhile stay pending, nothing
    is counted twice.
    """
    mine = Epochs(desk.ledger)
    await mine.beat()
    job = await desk.load(40)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease), RowState.PENDING)
    lease.letters = await desk.letters(job)
    grant = await desk.begin(lease, range(10))
    await desk.record(lease, grant)
    onwire = await desk.begin(lease, range(20, 25))
    before = await desk.ledger.client.hgetall(desk.keys.chunk(job, 0))
    await change_server(desk)
    await mine.beat()
    assert await desk.ledger.client.hgetall(desk.keys.chunk(job, 0)) == before
    await desk.record(lease, onwire)
    assert await desk.field(desk.keys.job(job), "n:i") == "15"


async def test_a_mark_is_written_again_whatever_its_attempt(desk: Desk) -> None:
    """Attempts are kept as a digit, so the tenth looks like the ninth: its mark, lost in a
    failover, comes back all the same.
    """
    client: Any = desk.client
    mine = Epochs(desk.ledger)
    await mine.beat()
    job = await desk.load(5)
    lease = await desk.lease()
    key = desk.keys.chunk(job, 0)
    await client.hset(key, "at", "99999")
    before = await client.dump(key)
    assert len((await desk.begin(lease)).rows) == 5
    await client.restore(key, 0, before, replace=True)
    await client.delete(desk.keys.leases())
    await change_server(desk)
    await mine.beat()
    assert await desk.letters(job) == "ddddd"


async def test_no_fence_is_given_out_twice(desk: Desk) -> None:
    """Those of the lost moments may still be held by somebody."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    await desk.load(10)
    await desk.load(10, "other")
    last = max(ticket.fence for ticket in await desk.tick())
    await desk.load(10, "third")
    await change_server(desk)
    await mine.beat()
    assert min(ticket.fence for ticket in await desk.tick("w2", 16)) > last + 1000


async def test_jobs_from_before_are_looked_up_first(desk: Desk) -> None:
    """Rows of theirs may have left without a trace; a job that is made on the new server has
    none.
    """
    mine = Epochs(desk.ledger)
    await mine.beat()
    await desk.load(10)
    lease = await desk.lease()
    assert not lease.suspect
    await desk.ledger.mark_checked(lease)
    await desk.ledger.release(lease)
    lease = await desk.lease()
    assert lease.checked_at_ms
    await desk.ledger.release(lease)
    await change_server(desk)
    await mine.beat()
    lease = await desk.lease()
    assert (lease.suspect, lease.checked_at_ms) == (True, 0)
    await desk.ledger.mark_checked(lease)
    await desk.load(10, job="new")
    assert not (await desk.lease()).suspect


@pytest.mark.parametrize("granted", [True, False])
async def test_that_rows_were_looked_up_is_noted_with_the_next_batch(desk: Desk, granted: bool) -> None:
    """Whether or not it may begin; what was seen before the server changed is not."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    await desk.load(60)
    lease = await desk.lease()
    lease.checked_in = desk.ledger.heartbeat.epoch
    assert bool((await desk.begin(lease, range(20) if granted else [])).rows) is granted
    await desk.ledger.release(lease)
    lease = await desk.lease()
    assert lease.checked_at_ms
    lease.checked_in = desk.ledger.heartbeat.epoch
    await change_server(desk)
    await mine.beat()
    assert (await desk.begin(lease, range(20, 40))).rows
    await desk.ledger.release(lease)
    assert (await desk.lease()).checked_at_ms == 0


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


async def test_after_a_silence_no_row_is_given_up_before_all_are_back(desk: Desk) -> None:
    """Redis was frozen: whoever heard an answer meanwhile brings it first. Sending need not wait,
    for no mark was lost.
    """
    second_ledger = another(desk)
    first, second = Epochs(desk.ledger), Epochs(second_ledger)
    await first.beat()
    await second.beat()
    job = await desk.load(40)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease, [0]), RowState.IN_DOUBT)
    await desk.settle_now()
    await let_pass(desk, 60_000, second_ledger)
    assert await desk.ledger.doubts.claim("contoso", 10) is None
    await first.beat()
    assert await desk.ledger.doubts.claim("contoso", 10) is None
    assert (await desk.begin(lease, [1])).rows
    await second.beat()
    await first.beat()
    (doubt,) = await desk.doubts("contoso", 10)
    assert (doubt.job, doubt.index) == (job, 0)


async def test_a_batch_number_is_never_used_twice_in_a_chunk(desk: Desk) -> None:
    """An answer to a batch that the ledger lost finds no other one of its number, so it takes
    nothing off the wire.
    """
    client: Any = desk.client
    job = await desk.load(40)
    lease = await desk.lease()
    key = desk.keys.chunk(job, 0)
    before = await client.dump(key)
    lost = await desk.begin(lease, range(20))
    await client.restore(key, 0, before, replace=True)
    await desk.make_past(desk.keys.leases())
    other = await desk.lease()
    grant = await desk.begin(other, range(20))
    outcomes = [Outcome(row.index, RowState.PENDING) for row in lost.rows]
    await desk.ledger.record_batch(job, 0, "contoso", Lane.BULK, lost.batch, outcomes)
    assert (await desk.letters(job))[:20] == "s" * 20
    assert grant.batch != lost.batch


async def test_nothing_is_claimed_while_others_are_waited_for(desk: Desk) -> None:
    """A look-up would find those whose invitation is not written again yet, and take them for
    guests of before.
    """
    await desk.load(10)
    first, second = Epochs(desk.ledger), Epochs(another(desk))
    await first.beat()
    await second.beat()
    (offer,) = await desk.tick()
    await change_server(desk)
    assert await desk.ledger.claim(offer) is None
    assert await desk.tick() == []
    await first.beat()
    assert await desk.tick() == []
    await second.beat()
    await first.beat()
    assert (await desk.lease()).ticket != offer


async def test_a_second_failover_waits_for_those_of_the_first(desk: Desk) -> None:
    """One that had not come in yet when it happened is not forgotten."""
    await desk.load(100)
    first, second = Epochs(desk.ledger), Epochs(another(desk))
    await first.beat()
    await second.beat()
    lease = await desk.lease()
    for _ in range(2):
        await change_server(desk)
        await first.beat()
    assert (await desk.begin(lease)).why == "epoch"
    await second.beat()
    await first.beat()
    assert (await desk.begin(lease)).rows
