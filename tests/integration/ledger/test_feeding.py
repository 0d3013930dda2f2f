"""Rows that end feed the stages of their job at the ledger: items gather by target, become chunks
in time, and their ends are told to their guests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from tests.ledgers import Desk
from worker.ledger.job_targets import JobTargets, Target, TargetKind
from worker.ledger.loading import LoadingStage
from worker.ledger.model import JobState, Lane, Lease, Options, Outcome, Refusals, RowState
from worker.ledger.quota import Bucket
from worker.ledger.stages import stage_id
from worker.operations.stages import Chain
from worker.store.client import read_time_ms

STAGES = ("profile", "groups")
GROUPS = stage_id("root", "groups")
PROFILE = stage_id("root", "profile")


async def load(desk: Desk, groups: Sequence[Sequence[str]]) -> None:
    """Load and start a job whose rows name these groups, and each a company."""
    for channel in ("contoso", "contoso+groups", "contoso+profile"):
        await desk.trust(channel)
    stages = [LoadingStage("profile", "contoso+profile", 1), LoadingStage("groups", "contoso+groups", 20)]
    loading = await desk.jobs.create("root", "contoso", Lane.BULK, stages=stages)
    assert loading is not None
    for number, names in enumerate(groups):
        row: dict[str, Any] = {"email": f"g{number}@x.example", "company": "X", "groups": [*names]}
        loading.put(row, asks=["profile", "groups"] if names else ["profile"])
    await desk.jobs.start(loading)


async def end(desk: Desk, lease: Lease, letters: str, *, batch: int = 0) -> None:
    """Record how the first rows of a chunk end, by a look-up unless a batch is named."""
    t = lease.ticket
    outcomes = [
        Outcome(i, RowState(letter), at_ms=1, code="known", message="Why." if letter == "f" else "")
        for i, letter in enumerate(letters)
        if letter != "."
    ]
    chained = Chain.of(t.job, t.chunk, lease.base, Options(), lease.stages).tell(lease.rows, outcomes)
    await desk.ledger.record_batch(t.job, t.chunk, t.connection, t.lane, batch, outcomes, chained=chained)


async def lease_all(desk: Desk) -> dict[str, list[Lease]]:
    """Tick, and claim everything that is offered; returns the leases by job."""
    leases: dict[str, list[Lease]] = {}
    for ticket in await desk.tick(seats=32):
        lease = await desk.ledger.claim(ticket)
        assert lease is not None
        leases.setdefault(ticket.job, []).append(lease)
    return leases


async def lease_of(desk: Desk, job: str) -> Lease:
    """Tick, and claim what is offered; returns the first lease of a job."""
    return (await lease_all(desk))[job][0]


async def chunks(desk: Desk, job: str) -> list[int]:
    """Return how many items each chunk of a stage has."""
    view = await desk.jobs.view(job)
    assert view is not None
    return [len(await desk.letters(job, number)) for number in range(view.chunks)]


async def test_items_gather_by_target_until_a_call_is_full(desk: Desk) -> None:
    """20 of one group are a chunk at once; what is left of each group is one when the last row has
    ended, with no wait.
    """
    await load(desk, [["A", "B"] if n < 23 else ["A"] for n in range(50)])
    lease = await lease_of(desk, "root")
    await end(desk, lease, "i" * 49)
    assert await chunks(desk, GROUPS) == [20, 20, 20]
    assert await chunks(desk, PROFILE) == []
    await end(desk, lease, "." * 49 + "g")
    leases = await lease_all(desk)
    assert sorted(await chunks(desk, GROUPS)) == [3, 10, 20, 20, 20]
    assert await chunks(desk, PROFILE) == [50]
    of_one = leases[GROUPS][0]
    assert len({row["target"] for row in of_one.rows}) == 1
    assert of_one.rows[0].keys() == {"email", "row", "at", "user_id", "new", "since", "target"}


async def test_what_was_gathered_long_enough_is_done(desk: Desk) -> None:
    """Items wait for others at most their time, even where the clock was put back meanwhile."""
    client: Any = desk.client
    await load(desk, [["A"], ["A"], ["A"]])
    lease = await lease_of(desk, "root")
    await end(desk, lease, "i")
    now = await read_time_ms(desk.client)
    for list_, at in await client.zrange(f"{desk.keys.job(GROUPS)}:gathering", 0, -1, withscores=True):
        assert now + 290_000 < at < now + 310_000
        await client.zadd(f"{desk.keys.job(GROUPS)}:gathering", {list_: at + 3_600_000})
        await client.zadd(desk.keys.gathering(), {GROUPS: at + 3_600_000})
    await client.set(desk.keys.healed(), now + 3_600_000)
    await desk.ledger.offers.heal()
    assert await client.zscore(desk.keys.gathering(), GROUPS) < now + 310_000
    await client.zadd(desk.keys.gathering(), {GROUPS: now})
    await desk.tick()
    assert await chunks(desk, GROUPS) == [1]


async def test_the_same_end_feeds_once(desk: Desk) -> None:
    """Whoever brings it again, as after a failover, or late: a row that has ended feeds nobody."""
    await load(desk, [["A"]] * 3)
    lease = await lease_of(desk, "root")
    for _ in range(2):
        await end(desk, lease, "ik")
    view = await desk.jobs.view(GROUPS)
    assert view is not None
    assert view.counts.rows == 1
    root = await desk.jobs.view("root")
    assert root is not None
    assert (root.stages["groups"].rows, root.stages["groups"].skipped) == (3, 1)


async def test_a_guest_is_as_well_off_as_the_worst_of_their_items(desk: Desk) -> None:
    """Of two groups one failed: the stage failed, with the reason. The job is done when all is."""
    await load(desk, [["A", "B"], ["A", "B"], []])
    await end(desk, await lease_of(desk, "root"), "iii")
    leases = await lease_all(desk)
    await end(desk, leases[PROFILE][0], "iii")
    first, second = leases[GROUPS]
    await end(desk, first, "fi")
    root = await desk.jobs.view("root")
    assert root is not None
    assert root.stages["groups"].pending == 2
    await end(desk, second, "ig")
    root = await desk.jobs.view("root")
    assert root is not None
    assert root.ended
    assert (root.stages["groups"].done, root.stages["groups"].failed) == (1, 1)
    told = [record async for record in desk.jobs.rows.results("root")]
    assert [(row["groups_status"], row["groups_error"]) for row in told] == [("failed", "Why."), ("done", ""), ("", "")]


async def test_a_call_for_twenty_costs_one_write(desk: Desk) -> None:
    """A bucket is charged a row's share of its call."""
    await load(desk, [["A"]] * 20)
    await end(desk, await lease_of(desk, "root"), "i" * 20)
    lease = await lease_of(desk, GROUPS)
    desk.buckets = [Bucket("writes", 100, 3_600_000, cost=1 / 20)]
    assert len((await desk.begin(lease, range(20))).rows) == 20
    assert round(100 - float(await desk.field(desk.keys.bucket("writes"), "l")), 3) == 1


async def test_a_stage_that_a_worker_parks_is_approved_with_its_root(desk: Desk) -> None:
    """Where a worker learns in the middle that the connection requires approval, all of it waits,
    and one approval lets all of it go on.
    """
    await load(desk, [["A"]] * 2)
    await end(desk, await lease_of(desk, "root"), "ii")
    assert not await desk.jobs.park(GROUPS, "Wait.")
    root = await desk.jobs.view("root")
    assert root is not None
    assert root.awaits_approval
    assert GROUPS not in await lease_all(desk)
    assert await desk.jobs.approve(root, "somebody")
    assert await desk.jobs.park(GROUPS, "Wait.")
    assert GROUPS in await lease_all(desk)


async def test_what_was_paused_before_its_approval_stays_paused(desk: Desk) -> None:
    """Whoever pauses a job that waits says that nothing of it leaves: an approval by somebody else
    does not lift that, `resume` does.
    """
    loading = await desk.jobs.create("a1", "contoso", Lane.BULK, needs_approval="Wait.")
    assert loading
    loading.put({"email": "a@example.com"})
    await desk.jobs.start(loading)
    assert await desk.jobs.pause("a1", "asked for") is JobState.HELD
    view = await desk.jobs.view("a1")
    assert view
    assert (view.awaits_approval, view.pause) == (True, "asked for")
    assert view.why == "Wait. It is paused besides: approved, it waits for usher jobs resume a1."
    assert await desk.jobs.approve(view, "grace@desk")
    assert await desk.tick("w1", 32) == []
    view = await desk.jobs.view("a1")
    assert view
    assert (view.state, view.why, view.pause, view.approval) == (JobState.PAUSED, "asked for", "", "grace@desk")
    assert await desk.jobs.resume("a1") is JobState.RUNNING
    assert len(await desk.tick("w1", 32)) == 1


async def test_stages_that_were_paused_before_the_approval_stay_so_with_their_root(desk: Desk) -> None:
    """And go on with it, once it is resumed."""
    await load(desk, [["A"]] * 2)
    await end(desk, await lease_of(desk, "root"), "ii")
    assert not await desk.jobs.park(GROUPS, "Wait.")
    assert await desk.jobs.pause("root", "asked for") is JobState.HELD
    root = await desk.jobs.view("root")
    assert root is not None
    assert await desk.jobs.approve(root, "somebody")
    assert GROUPS not in await lease_all(desk)
    assert await desk.jobs.resume("root") is JobState.RUNNING
    assert GROUPS in await lease_all(desk)


async def test_a_stage_that_has_caught_up_is_not_over(desk: Desk) -> None:
    """Between two rows of its root a stage has nothing to do; the next row still feeds it."""
    await load(desk, [[], []])
    lease = await lease_of(desk, "root")
    await end(desk, lease, "i")
    client: Any = desk.client
    await client.zadd(f"{desk.keys.job(PROFILE)}:gathering", {"all": 0})
    await client.zadd(desk.keys.gathering(), {PROFILE: 0})
    await end(desk, await lease_of(desk, PROFILE), "i")
    stage = await desk.jobs.view(PROFILE)
    assert stage is not None
    assert not stage.ended
    await end(desk, lease, ".i")
    await end(desk, await lease_of(desk, PROFILE), "i")
    root = await desk.jobs.view("root")
    assert root is not None
    assert root.ended
    assert root.stages["profile"].done == 2


async def traces(desk: Desk) -> list[str]:
    """Return the keys that name the job."""
    return sorted(name for name in await desk.names() if "root" in name)


async def test_a_stage_that_is_ended_alone_leaves_nothing(desk: Desk) -> None:
    """What it has gathered goes, its guests count as cancelled, and the job goes on without it."""
    await load(desk, [["A"]] * 3)
    lease = await lease_of(desk, "root")
    await end(desk, lease, "i")
    await desk.jobs.cancel(GROUPS)
    await end(desk, lease, ".ii")
    for profiles in (await lease_all(desk))[PROFILE]:
        await end(desk, profiles, "i" * len(profiles.rows))
    root = await desk.jobs.view("root")
    assert root is not None
    assert root.state is JobState.DONE
    told = [row["groups_status"] async for row in desk.jobs.rows.results("root")]
    assert told == ["cancelled"] * 3
    assert not [name for name in await traces(desk) if "gather" in name]
    await desk.jobs.delete("root")
    assert await traces(desk) == []


async def test_a_stage_that_is_held_names_its_job(desk: Desk) -> None:
    """A person who does as the sentence says moves the whole job."""
    await load(desk, [["A"]] * 3)
    await end(desk, await lease_of(desk, "root"), "iii")
    lease = await lease_of(desk, GROUPS)
    grant = await desk.begin(lease, (0, 1))
    t, outcomes = lease.ticket, [Outcome(row.index, RowState.FAILED) for row in grant.rows]
    refusals = Refusals(in_a_row=2, share=1.0, marks=("x",) * len(outcomes))
    await desk.ledger.record_batch(t.job, t.chunk, t.connection, t.lane, grant.batch, outcomes, refusals=refusals)
    why = await desk.field(desk.keys.job(GROUPS), "why")
    assert "usher jobs cancel root)" in why
    assert "~" not in why


async def test_what_was_gathered_goes_where_the_server_is_full(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is deleted then cannot be cancelled before; no address of it stays."""
    await load(desk, [["A"], ["B"], []])
    await end(desk, await lease_of(desk, "root"), "ii")
    assert [name for name in await traces(desk) if "gathered" in name]

    async def refuse(*_: str) -> None:
        raise OutOfMemoryError

    monkeypatch.setattr(desk.jobs, "_move", refuse)
    await desk.jobs.delete("root")
    assert await traces(desk) == []
    client: Any = desk.client
    assert not await client.exists(desk.keys.gathering())


async def lists_left(desk: Desk) -> int:
    """Return how many lists of groups are not chunks yet."""
    return int(await desk.ledger.client.zcard(desk.keys.lists(GROUPS)))


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_list_of_many_targets_holds_nobody_up(desk: Desk, is_cancelled: bool) -> None:
    """No script sees to more than 500 of them; the next ticks see to the rest, at once."""
    await load(desk, [[f"Group {n}"] for n in range(1100)])
    ended = 0
    while ended < 11:
        for lease in (await lease_all(desk)).get("root", ()):
            await end(desk, lease, "i" * 100)
            await desk.ledger.release(lease)
            ended += 1
    if is_cancelled:
        await desk.jobs.cancel("root")
    left = [await lists_left(desk)]
    while left[-1] > 0:
        tick = await desk.ledger.offers.tick("w1", 0)
        left.append(await lists_left(desk))
        assert tick.next_s == 0 or left[-1] == 0
    assert left == [1100, 600, 100, 0]
    assert not [name for name in await traces(desk) if "gathered" in name]
    assert len(await chunks(desk, GROUPS)) == (0 if is_cancelled else 1100)
    assert (await desk.field(desk.keys.job(GROUPS), "state")) == ("cancelled" if is_cancelled else "running")


async def test_what_is_found_out_after_a_delete_is_not_kept(desk: Desk) -> None:
    """A worker may ask Graph, or give a chunk back, just then: a sponsor's address would stay."""
    targets = JobTargets(desk.client, desk.keys)
    found = [Target("id", "boss@contoso.example", TargetKind.SPONSOR)]
    await load(desk, [["A"]])
    await targets.keep("root", found)
    await desk.jobs.note_wait(GROUPS, "A wait.")
    assert await targets.read("root", TargetKind.SPONSOR, [found[0].name]) == {found[0].name: found[0]}
    assert await desk.field(desk.keys.job(GROUPS), "waits") == "A wait."
    assert await desk.ledger.client.ttl(desk.keys.job_targets("root")) > 0
    await desk.jobs.delete("root")
    await targets.keep("root", found)
    await desk.jobs.note_wait(GROUPS, "A wait.")
    assert await traces(desk) == []
