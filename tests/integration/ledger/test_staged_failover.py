"""A failover loses ends of a root's rows, and what its stages did of them meanwhile: what is
written again is said of the same guests, and no mail is sent twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.ledgers import Desk, another, change_server, end_quiet
from worker.ledger.batches import Ledger
from worker.ledger.loading import LoadingStage
from worker.ledger.model import Grant, Lane, Lease, Options, Outcome, RowState
from worker.operations.registry import find_operation
from worker.operations.stages import Chain
from worker.process.epochs import Epochs
from worker.sending.written_again import judge_known
from worker.store.client import read_time_ms

MAIL = LoadingStage("mail", "contoso+mail", 1)
GROUPS = LoadingStage("groups", "contoso+groups", 20)


async def snapshot(desk: Desk) -> dict[bytes, bytes]:
    """Return what a replica has."""
    client: Any = desk.client
    return {key: await client.dump(key) async for key in client.scan_iter(match=f"{desk.keys.prefix}:*")}


async def fail_over(desk: Desk, kept: dict[bytes, bytes]) -> None:
    """Let the replica be the server."""
    client: Any = desk.client
    async for key in client.scan_iter(match=f"{desk.keys.prefix}:*"):
        await client.delete(key)
    for key, value in kept.items():
        await client.restore(key, 0, value)
    await change_server(desk)


async def load(desk: Desk, stage: LoadingStage, rows: int) -> Lease:
    """Load and start a job of one stage; returns the lease of its only chunk."""
    for channel in ("contoso", stage.channel):
        await desk.trust(channel)
    loading = await desk.jobs.create("root", "contoso", Lane.BULK, stages=[stage])
    assert loading
    for number in range(rows):
        loading.put({"email": f"g{number}@x.example", "groups": ["A"]}, asks=[stage.operation])
    await desk.jobs.start(loading)
    return (await leases_of(desk, "root", desk.ledger))[0]


async def leases_of(desk: Desk, job: str, ledger: Ledger) -> list[Lease]:
    """Tick, and claim what is offered of a job."""
    claimed = [await ledger.claim(ticket) for ticket in await desk.tick(seats=32) if ticket.job == job]
    return [lease for lease in claimed if lease is not None]


async def record(ledger: Ledger, lease: Lease, batch: int, outcomes: Sequence[Outcome]) -> None:
    """Record as a worker does."""
    t = lease.ticket
    chain = Chain.of(t.job, t.chunk, lease.base, Options(), lease.stages, lease.packed, suspect=lease.suspect)
    chained = chain.tell(lease.rows, outcomes)
    await ledger.record_batch(t.job, t.chunk, t.connection, t.lane, batch, outcomes, chained=chained)
    letters = list(lease.letters)
    for outcome in outcomes:
        letters[outcome.index] = outcome.letter
    lease.letters = "".join(letters)


async def begin(desk: Desk, ledger: Ledger, lease: Lease, rows: Sequence[int]) -> Grant:
    """Mark rows."""
    return await ledger.begin_batch(lease, rows, desk.buckets, tenant_key="t", client_key="c")


async def do(
    desk: Desk, ledger: Ledger, lease: Lease, rows: Sequence[int], letter: RowState = RowState.DONE
) -> list[int]:
    """Mark and record rows, one batch; returns the guests' rows."""
    grant = await begin(desk, ledger, lease, rows)
    await record(ledger, lease, grant.batch, [Outcome(row.index, letter, at_ms=1) for row in grant.rows])
    return [lease.rows[row.index].get("row", 0) for row in grant.rows]


async def find(ledger: Ledger, lease: Lease, index: int) -> None:
    """End a row by a look-up, which no journal keeps."""
    await record(ledger, lease, 0, [Outcome(index, RowState.ALREADY, at_ms=1)])


async def do_the_rest(desk: Desk, stage: str) -> list[int]:
    """Do as a worker what is offered of a stage; returns the rows of the guests that it did."""
    sent: list[int] = []
    for lease in await leases_of(desk, f"root~{stage}", desk.ledger):
        known = judge_known(lease, find_operation(stage), await read_time_ms(desk.client), 60)
        await record(desk.ledger, lease, 0, [one for one in known.values() if isinstance(one, Outcome)])
        left = [i for i in lease.pending() if i not in known]
        if left:
            sent += await do(desk, desk.ledger, lease, left)
        await desk.ledger.release(lease)
    return sent


async def told(desk: Desk, stage: str) -> list[str]:
    """Return how each guest stands in the stage."""
    return [row[f"{stage}_status"] async for row in desk.jobs.rows.results("root")]


async def test_the_mails_of_one_process_are_known_whoever_comes_in_first(desk: Desk) -> None:
    """One process invited, another mailed: this one comes in before there is a chunk of mails."""
    for later in (False, True):
        one, two = Epochs(desk.ledger), Epochs(other := another(desk))
        for process in (one, two):
            await process.beat()
        root = await load(desk, MAIL, 3)
        kept = await snapshot(desk)
        await do(desk, desk.ledger, root, [0, 1, 2])
        (mail,) = await leases_of(desk, "root~mail", other)
        for i in range(3):
            await do(desk, other, mail, [i])
        await fail_over(desk, kept)
        for process in (one, two) if later else (two, one):
            await process.beat()
        await end_quiet(desk)
        for process in (one, two):
            await process.beat()
        assert await do_the_rest(desk, "mail") == []
        assert await told(desk, "mail") == ["done"] * 3
        await desk.jobs.delete("root")


async def test_mails_are_known_though_they_lie_in_another_order(desk: Desk) -> None:
    """Row 1 ended by a look-up, which is made again later than the others are written again."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    root = await load(desk, MAIL, 3)
    kept = await snapshot(desk)
    await find(desk.ledger, root, 0)
    await do(desk, desk.ledger, root, [1, 2])
    (mail,) = await leases_of(desk, "root~mail", desk.ledger)
    await record(desk.ledger, mail, 0, [Outcome(0, RowState.SKIPPED, at_ms=1)])
    assert await do(desk, desk.ledger, mail, [1]) + await do(desk, desk.ledger, mail, [2]) == [2, 3]
    await fail_over(desk, kept)
    await mine.beat()
    await end_quiet(desk)
    await mine.beat()
    await find(desk.ledger, root, 0)
    assert await do_the_rest(desk, "mail") == [1]  # of which no more is lost than that it was skipped
    assert await told(desk, "mail") == ["done"] * 3


async def test_what_is_written_again_is_said_of_the_same_guests(desk: Desk) -> None:
    """21 guests of one group, one found by a look-up: after the failover the stage's first chunk
    holds others.
    """
    mine = Epochs(desk.ledger)
    await mine.beat()
    root = await load(desk, GROUPS, 21)
    kept = await snapshot(desk)
    await find(desk.ledger, root, 0)
    await do(desk, desk.ledger, root, range(1, 21))
    groups = (await leases_of(desk, "root~groups", desk.ledger))[0]
    done = await do(desk, desk.ledger, groups, range(20))
    await fail_over(desk, kept)
    await mine.beat()
    await end_quiet(desk)
    await mine.beat()
    await find(desk.ledger, root, 0)
    done += await do_the_rest(desk, "groups")
    assert sorted(done) == [*range(1, 22)]
    assert await told(desk, "groups") == ["done"] * 21


async def test_a_mail_that_was_lost_with_its_mark_waits_for_its_answer(desk: Desk) -> None:
    """Sent, not heard of yet: it is not sent again, and ends as the answer says."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    root = await load(desk, MAIL, 4)
    kept = await snapshot(desk)
    await find(desk.ledger, root, 0)
    await do(desk, desk.ledger, root, [1, 2, 3])
    (mail,) = await leases_of(desk, "root~mail", desk.ledger)
    grants = [await begin(desk, desk.ledger, mail, [i]) for i in range(1, 4)]
    await fail_over(desk, kept)
    await mine.beat()
    await end_quiet(desk)
    await mine.beat()
    await find(desk.ledger, root, 0)
    assert await do_the_rest(desk, "mail") == [1]
    assert await told(desk, "mail") == ["done", "pending", "pending", "pending"]
    await record(desk.ledger, mail, grants[0].batch, [Outcome(1, RowState.DONE, at_ms=1)])
    await record(desk.ledger, mail, grants[1].batch, [Outcome(2, RowState.PENDING)])  # refused unprocessed
    assert await do_the_rest(desk, "mail") == [3]
    assert await told(desk, "mail") == ["done", "done", "done", "pending"]


async def test_a_late_end_is_not_said_of_another_guest(desk: Desk) -> None:
    """A worker that slept through the failover ends an item unsent: its chunk holds others now."""
    mine = Epochs(desk.ledger)
    await mine.beat()
    root = await load(desk, MAIL, 2)
    kept = await snapshot(desk)
    await find(desk.ledger, root, 0)
    await find(desk.ledger, root, 1)
    (mail,) = await leases_of(desk, "root~mail", desk.ledger)
    await fail_over(desk, kept)
    await mine.beat()
    await end_quiet(desk)
    await mine.beat()
    await find(desk.ledger, root, 1)
    await find(desk.ledger, root, 0)
    assert await leases_of(desk, "root~mail", desk.ledger)
    await record(desk.ledger, mail, 0, [Outcome(0, RowState.SKIPPED, at_ms=1)])
    assert await told(desk, "mail") == ["pending"] * 2
