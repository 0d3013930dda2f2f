"""Gates at the ledger: a connection on probation, a job whose rows are refused one after the other,
a credential that is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.ledgers import Desk
from worker.ledger.audit.trail import Trail
from worker.ledger.gates import Gates, Held, HoldReason
from worker.ledger.model import Grant, JobState, Lane, Lease, Outcome, Refusals, RowState

WHY_LETTERS = {"o": RowState.DONE, "x": RowState.FAILED, "d": RowState.FAILED, "-": RowState.PENDING}


@pytest.fixture
def new(desk: Desk) -> Desk:
    """A ledger whose connections have never sent anything."""
    desk.trusted = False
    return desk


# Probation


async def test_a_new_connection_has_one_batch_in_flight(new: Desk) -> None:
    """While a batch is on the wire nobody else begins one, not even for a single guest; its record
    makes way.
    """
    await new.load(20)
    bulk = await new.lease()
    await new.load(1, lane=Lane.NOW)
    single = await new.lease()
    grant = await new.begin(bulk, range(5))
    assert grant.probation
    waiting = await new.begin(single)
    assert (waiting.why, waiting.wait_s, waiting.rows) == ("probation", 0.1, ())
    await new.record(bulk, grant)
    assert (await new.begin(single)).probation


async def test_a_batch_whose_worker_died_holds_up_nobody(new: Desk) -> None:
    """With its lease the batch in flight is gone, recorded or not."""
    await new.load(1, job="dead")
    dead = await new.lease()
    await new.begin(dead)
    await new.load(1, job="next")
    await new.ledger.release(dead)
    assert (await new.begin(await new.lease())).rows


async def test_five_clean_batches_end_probation(new: Desk) -> None:
    """Then as many batches as there are seats go out at once."""
    await new.load(500)
    lease = await new.lease()
    for number in range(5):
        assert await new.tick() == [], "one chunk at a time"
        grant = await new.begin(lease, range(number * 10, number * 10 + 10))
        assert grant.probation
        await new.record(lease, grant)
        await new.ledger.passed_probation("contoso")
    await asyncio.sleep(0.06)
    others = [await new.ledger.claim(ticket) for ticket in await new.tick()]
    assert len(others) == 1, "its quarter of eight seats"
    for one in (lease, *others):
        assert one is not None
        grant = await new.begin(one, range(60, 80))
        assert (len(grant.rows), grant.probation) == (20, False)


async def test_a_hold_and_its_end_begin_probation_anew(desk: Desk) -> None:
    """Trouble with a connection makes it new again; a throttled one is as trusted as before."""
    await desk.load(100)
    lease = await desk.lease()
    await desk.ledger.spending.throttled("contoso", desk.buckets, 0, "too fast")
    await asyncio.sleep(0.02)
    assert not (await desk.begin(lease, [0])).probation
    await desk.gates.hold("contoso", HoldReason.TENANT, "because")
    await desk.trust()  # by batches that were on the wire at the time
    await desk.gates.reopen("contoso")
    assert (await desk.begin(lease, [1])).probation
    await desk.trust()
    await desk.gates.hold("contoso", HoldReason.CREDENTIAL, "Expired.")
    assert (await desk.begin(lease, [3])).probation, "a hold that ended because a token was had"
    await desk.trust()
    await desk.gates.reopen("contoso")
    assert not (await desk.begin(lease, [2])).probation, "it was open"


# A run of refusals


async def answer(desk: Desk, lease: Lease, marks: Sequence[str], *, in_a_row: int = 20, share: float = 0.5) -> str:
    """Begin and record batches whose answers count as `marks`; return the job's state then."""
    place, state = 0, ""
    for start in range(0, len(marks), 20):
        batch = tuple(marks[start : start + 20])
        grant: Grant = await desk.begin(lease, range(place, place + len(batch)))
        place += len(batch)
        if not grant.rows:
            return grant.why or ""
        outcomes = [
            Outcome(row.index, WHY_LETTERS[mark[0]], attempts=row.attempt)
            for row, mark in zip(grant.rows, batch, strict=True)
        ]
        t = lease.ticket
        recorded = await desk.ledger.record_batch(
            t.job, t.chunk, t.connection, t.lane, grant.batch, outcomes, refusals=Refusals(in_a_row, share, batch)
        )
        state = recorded.job_state
    return state


@pytest.mark.parametrize(
    ("marks", "settings", "state"),
    [
        ("x" * 20, {}, "held"),
        ("x" * 19, {}, "running"),
        ("o" + "x" * 20, {}, "held"),
        ("x" * 19 + "o" + "x" * 19, {}, "running"),
        ("x" * 10 + "-" * 5 + "x" * 10, {}, "held"),
        ("x" * 20, {"in_a_row": 0}, "running"),
        ("x" * 60, {"in_a_row": 0}, "held"),
        ("x" * 60, {"in_a_row": 0, "share": 1.0}, "running"),
        ("xo" * 49, {}, "running"),
        ("xxo" * 30, {}, "held"),
        ("xxo" * 30, {"share": 0.8}, "running"),
    ],
)
async def test_refusals_hold_a_job(desk: Desk, marks: str, settings: dict[str, float], state: str) -> None:
    """Twenty in a row, or more than half of the first hundred; both can be changed. What is no
    answer does not count.
    """
    job = await desk.load(130)
    assert await answer(desk, await desk.lease(), marks, **settings) == state  # type: ignore[arg-type]
    view = await desk.jobs.view(job)
    assert view is not None
    assert view.state == state
    assert ("usher jobs resume" in view.why) == (state == "held")


async def test_of_a_domain_that_is_refused_the_first_row_counts(desk: Desk) -> None:
    """Whoever asks: its other refusals are no news. Rows that end unsent are no answers."""
    await desk.load(130)
    lease = await desk.lease()
    assert await answer(desk, lease, ["d1"] * 15 + ["d2"] * 20 + ["d3"] * 20) == "running"
    assert int(await desk.field(desk.keys.job(lease.ticket.job), "run")) == 3
    skipped = [Outcome(i, RowState.FAILED) for i in lease.pending() if i >= 60]
    t = lease.ticket
    recorded = await desk.ledger.record_batch(t.job, t.chunk, t.connection, t.lane, 0, skipped)
    assert (recorded.job_state, len(skipped)) == ("running", 40)


async def test_a_held_job_waits_for_a_person(desk: Desk) -> None:
    """Nothing of it is offered or begun, and its chunk is not lost; resumed, it goes on and counts
    anew.
    """
    job = await desk.load(230)
    ticket, offered_too = await desk.tick()
    lease = await desk.ledger.claim(ticket)
    assert lease is not None
    assert await answer(desk, lease, "x" * 20) == "held"
    assert (await desk.begin(lease)).rows == ()
    assert await desk.ledger.claim(offered_too) is None
    await desk.ledger.release(lease)
    assert await desk.tick() == []
    assert await desk.jobs.resume(job) is JobState.RUNNING
    offered = {ticket.chunk for _ in range(3) for ticket in await desk.tick(seats=40)}
    assert offered == {0, 1, 2}
    assert await desk.field(desk.keys.job(job), "why") == ""


async def test_a_resumed_job_is_not_judged_by_its_first_hundred_again(desk: Desk) -> None:
    """A person has looked. Another run of refusals holds it all the same."""
    job = await desk.load(100)
    lease = await desk.lease()
    assert await answer(desk, lease, "x" * 55, in_a_row=0) == "held"
    await desk.jobs.resume(job)
    rest = [desk.begin(lease, range(60, 80)), desk.begin(lease, range(80, 100))]
    for wish, wanted in zip(rest, ("running", "held"), strict=True):
        grant = await wish
        outcomes = [Outcome(row.index, RowState.FAILED) for row in grant.rows]
        marks = ("-",) * 10 + ("x",) * 10
        recorded = await desk.ledger.record_batch(
            job, 0, "contoso", Lane.BULK, grant.batch, outcomes, refusals=Refusals(20, 0.5, marks)
        )
        assert recorded.job_state == (wanted if recorded.pending else "done")


async def test_a_held_job_can_be_cancelled(desk: Desk) -> None:
    """Its rows left to send are cancelled."""
    job = await desk.load(30)
    assert await answer(desk, await desk.lease(), "x" * 20) == "held"
    assert await desk.jobs.cancel(job) is JobState.CANCELLED
    view = await desk.jobs.view(job)
    assert view is not None
    assert (view.ended, view.counts.cancelled, view.counts.failed) == (True, 10, 20)


async def test_a_job_that_is_over_is_done(desk: Desk) -> None:
    """Refused to the last row, there is nothing to ask a person; nor where the rest ends while it
    is held.
    """
    job = await desk.load(20)
    assert await answer(desk, await desk.lease(), "x" * 20) == "done"
    job = await desk.load(40)
    lease = await desk.lease()
    late = await desk.begin(lease, range(20, 40))
    assert await answer(desk, lease, "x" * 20) == "held"
    await desk.record(lease, late)
    view = await desk.jobs.view(job)
    assert view is not None
    assert (view.state, view.ended, view.counts.done) == (JobState.DONE, True, 20)


# Another worker's credential


async def test_a_refused_credential_holds_unless_another_one_works(desk: Desk) -> None:
    """The gate of all is not closed by one worker's old file; the credential that was good a moment
    ago closes it when it is refused.
    """
    await desk.load(2)
    lease = await desk.lease()
    await desk.ledger.begin_batch(lease, [0], desk.buckets, tenant_key="t", client_key="c", fingerprint="new")
    hold = desk.gates.hold
    assert await hold("contoso", HoldReason.CREDENTIAL, "Expired.", fingerprint="old") is Held.OTHER_WORKS
    assert not (await desk.gates.of("contoso")).held
    assert await hold("contoso", HoldReason.CREDENTIAL, "Expired.", fingerprint="new") is Held.NEWS
    assert await hold("contoso", HoldReason.CREDENTIAL, "Expired.", fingerprint="new") is Held.ALREADY


async def test_a_credential_is_good_for_a_minute(desk: Desk) -> None:
    """When nobody has sent with it for that long, a refusal of another one counts."""
    await desk.load(1)
    lease = await desk.lease()
    grant = await desk.ledger.begin_batch(lease, [0], desk.buckets, tenant_key="t", client_key="c", fingerprint="new")
    key = desk.keys.connection("contoso")
    await desk.ledger.client.hset(key, "good_at", grant.begun_at_ms - 60_000)
    assert await desk.gates.hold("contoso", HoldReason.CREDENTIAL, "Expired.", fingerprint="old") is Held.NEWS
    await desk.ledger.client.hdel(key, "good", "good_at")
    assert await desk.gates.hold("contoso", HoldReason.CREDENTIAL, "Expired.", fingerprint="old") is Held.ALREADY


# An operator's hold, and another name of the tenant


async def test_a_hold_goes_on_to_a_name_that_had_no_job_for_the_tenant(desk: Desk) -> None:
    """One that had some was meant to run beside it; a hold for another reason, one that was lifted,
    one of another tenant and one of a name that is configured for it still go on to nobody.
    """
    gates, key = desk.gates, "global/one"
    trail = Trail(desk.client, desk.keys, keep_s=0, tenant_key_of=lambda _: key)
    configured = Gates(desk.client, desk.keys, trail)
    for name, tenant in (("beside", key), ("elsewhere", "global/two")):
        await desk.client.hset(desk.keys.connection(name), "tenant", tenant)
    await gates.hold("old", HoldReason.OPERATOR, "Stop. `usher connections reopen old` lifts it.", tenant_key=key)
    for name, tenant in (("beside", key), ("new", ""), ("new", "global/two"), ("old", key)):
        await gates.hold_at_first_use(name, tenant)
    await configured.hold_at_first_use("new", key)
    assert not any(gate.held for gate in (await gates.of_many(["beside", "new"])).values())
    for name in ("new+disable", "elsewhere"):
        await gates.hold_at_first_use(name, key)
        gate = await gates.of(name.partition("+")[0])
        assert gate.kind is HoldReason.OPERATOR
        assert gate.why.startswith("It is of the same tenant as ")
    assert "Stop. `usher connections reopen new` lifts it." in (await gates.of("new")).why
    await gates.reopen("old")
    for name in ("new", "elsewhere"):
        await gates.reopen(name)
    await gates.hold("old", HoldReason.ABUSE, "Microsoft says so.")
    await gates.hold_at_first_use("third", key)
    assert not (await gates.of("third")).held
    assert await gates.held_names(key) == {"old", "new", "elsewhere"}
