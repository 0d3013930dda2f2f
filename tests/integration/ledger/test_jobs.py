"""Jobs as people see and move them, on a real server."""

from __future__ import annotations

from typing import Any

import pytest
import redis.exceptions

from tasks.rows.row import ValidRow
from tasks.submit import Loaded, drop, load, start
from tests.configs import build_connection
from tests.ledgers import Desk, open_desk
from worker.errors import LedgerError, LedgerTooNew
from worker.ledger.gates import HoldReason
from worker.ledger.job_view import GOING
from worker.ledger.keys import SCHEMA
from worker.ledger.loading import Loading
from worker.ledger.model import Counts, JobState, Lane, Lease, Options, Outcome, RowState


async def _work(desk: Desk, letter: RowState = RowState.DONE) -> None:
    """Do all that is offered."""
    while offered := await desk.tick("w1", 32):
        for ticket in offered:
            lease = await desk.ledger.claim(ticket)
            assert lease
            while True:
                grant = await desk.begin(lease)
                if not grant.rows:
                    break
                lease.letters = await desk.record(lease, grant, letter)
            await desk.ledger.release(lease)


async def _view_counts(desk: Desk, job: str) -> tuple[JobState, Counts]:
    view = await desk.jobs.view(job)
    assert view
    return view.state, view.counts


async def test_every_row_of_a_job_is_counted_and_read(desk: Desk) -> None:
    """250 rows, two of them bad: one record each, in order, with their numbers; the counts add
    up.
    """
    job = await desk.load(250, ended=[3, 200])
    assert await _view_counts(desk, job) == (JobState.RUNNING, Counts(rows=250, failed=2, pending=248))
    await _work(desk)
    assert await _view_counts(desk, job) == (JobState.DONE, Counts(rows=250, failed=2, done=248))
    records = [record async for record in desk.jobs.rows.results(job)]
    assert [record["row"] for record in records] == list(range(1, 251))
    assert [record["row"] for record in records if record["status"] == "failed"] == [3, 200]
    assert records[9]["email"] == f"{job}-10@example.com"


@pytest.mark.parametrize(
    ("after", "limit", "rows"), [(0, 3, [1, 2, 3]), (99, 3, [100, 101, 102]), (248, 10, [249, 250]), (250, 5, [])]
)
async def test_results_are_read_in_pages(desk: Desk, after: int, limit: int, rows: list[int]) -> None:
    """`after` and `limit` cut where they say, across chunks."""
    job = await desk.load(250)
    assert [record["row"] async for record in desk.jobs.rows.results(job, after=after, limit=limit)] == rows


async def test_the_same_id_is_the_same_job(desk: Desk) -> None:
    """A second creation changes nothing."""
    job = await desk.load(5)
    assert await desk.jobs.create(job, "other", Lane.NOW) is None
    view = await desk.jobs.view(job)
    assert view
    assert (view.connection, view.counts.rows) == ("contoso", 5)


async def test_a_newer_ledger_is_left_alone(desk: Desk) -> None:
    """A ledger of a newer schema gets no job from an older usher."""
    await desk.ledger.client.set(desk.keys.schema(), SCHEMA + 1)
    with pytest.raises(LedgerTooNew):
        await desk.jobs.create("j", "contoso", Lane.BULK)
    assert await desk.jobs.view("j") is None


async def test_a_job_that_is_loading_is_not_sent(desk: Desk) -> None:
    """Its rows are accepted, and offered, once it was started."""
    loading = await desk.jobs.create("j", "contoso", Lane.BULK, options=Options(resend=True))
    assert loading
    for number in range(250):
        loading.put({"email": f"{number}@example.com"})
    await desk.jobs.write(loading, all_of_it=True)
    assert await desk.tick() == []
    assert await desk.jobs.start(loading) is JobState.RUNNING
    assert await desk.tick()
    view = await desk.jobs.view("j")
    assert view
    assert view.options.resend


async def test_a_job_of_bad_rows_only_is_done_at_once(desk: Desk) -> None:
    """Nothing waits for rows that ended before they began."""
    job = await desk.load(3, ended=[1, 2, 3])
    assert await _view_counts(desk, job) == (JobState.DONE, Counts(rows=3, failed=3))


async def test_a_pilot_sends_its_rows_and_pauses(desk: Desk) -> None:
    """So many rows that are sent, however many bad ones stand among them or after; a resume sends
    the rest.
    """
    job = await desk.load(30, pilot=5, ended=[2, 20, 21, 22, 23, 24, 25])
    await _work(desk)
    view = await desk.jobs.view(job)
    assert view
    assert (view.state, view.why, view.counts.done) == (JobState.PAUSED, "pilot", 5)
    await desk.jobs.resume(job)
    await _work(desk)
    assert await _view_counts(desk, job) == (JobState.DONE, Counts(rows=30, done=23, failed=7))


async def test_a_pilot_paused_by_a_person_is_still_a_pilot(desk: Desk) -> None:
    """Ctrl-C in the middle of a pilot and a resume do not send the whole list."""
    job = await desk.load(30, pilot=5)
    await desk.jobs.pause(job, "interrupted")
    await desk.jobs.resume(job)
    await _work(desk)
    assert await _view_counts(desk, job) == (JobState.PAUSED, Counts(rows=30, done=5, pending=25))


async def test_a_held_connection_shows_on_its_running_jobs(desk: Desk) -> None:
    """With the sentence that says why; a paused job stays paused."""
    running, paused = await desk.load(1), await desk.load(1)
    await desk.jobs.pause(paused, "a person")
    await desk.gates.hold("contoso", HoldReason.CREDENTIAL, "The secret has expired.")
    first, second = await desk.jobs.view(running), await desk.jobs.view(paused)
    assert first
    assert second
    assert (first.state, first.why, first.gate.ends_by_itself) == (JobState.HELD, "The secret has expired.", True)
    assert (second.state, second.why) == (JobState.PAUSED, "a person")
    assert [view.id for view in await desk.jobs.listed()] == [paused, running]


async def test_a_cancelled_job_ends_when_nothing_of_it_is_open(desk: Desk) -> None:
    """Rows not sent are cancelled; a row on the wire ends as what it is, and then the job has
    ended.
    """
    job = await desk.load(30)
    lease = await desk.lease()
    grant = await desk.begin(lease)
    assert await desk.jobs.cancel(job) is JobState.CANCELLED
    view = await desk.jobs.view(job)
    assert view
    assert (view.ended, view.counts) == (False, Counts(rows=30, pending=20, cancelled=10))
    await desk.record(lease, grant)
    await desk.ledger.release(lease)
    view = await desk.jobs.view(job)
    assert view
    assert (view.ended, view.counts) == (True, Counts(rows=30, done=20, cancelled=10))
    assert await desk.tick() == []
    statuses = [record["status"] async for record in desk.jobs.rows.results(job)]
    assert statuses == ["invited"] * 20 + ["cancelled"] * 10


async def test_what_is_over_cannot_be_moved(desk: Desk) -> None:
    """A job that is done stays done; one that does not exist answers nothing."""
    job = await desk.load(1, ended=[1])
    assert await desk.jobs.pause(job, "") is JobState.DONE
    assert await desk.jobs.cancel(job) is JobState.DONE
    assert await desk.jobs.resume("nothing") is None


async def test_an_ended_job_gets_its_expiry_on_every_key(valkey_url: str) -> None:
    """Ended and kept for a while: no key of it lives for ever, and when they are gone the list
    forgets it.
    """
    async with open_desk(valkey_url, keep_s=1000) as desk:
        job = await desk.load(250)
        lease = await desk.lease()
        await desk.jobs.cancel(job)
        await desk.jobs.expire_ended()
        await desk.ledger.release(lease)  # late, as the end of an offer that nobody claimed
        await desk.make_past(desk.keys.offers())
        await desk.tick("w1", 0)
        c = desk.ledger.client
        mine = [name for name in await desk.names() if job in name.split(":")]
        assert mine
        for name in mine:
            assert 0 < await c.ttl(f"{desk.keys.prefix}:{name}") <= 1000, name
        assert await c.scard(desk.keys.ending()) == 0
        for name in mine:
            await c.delete(f"{desk.keys.prefix}:{name}")
        await desk.jobs.expire_ended()
        assert await c.zcard(desk.keys.jobs()) == 0


async def test_deleting_leaves_no_trace(desk: Desk) -> None:
    """Every key of the job is gone, and what is left of its lists too."""
    job = await desk.load(250)
    lease = await desk.lease()
    await desk.begin(lease)
    assert await desk.jobs.delete(job)
    assert not [name for name in await desk.names() if job in name.split(":")]
    assert await desk.jobs.view(job) is None
    assert not await desk.jobs.delete(job)
    assert await desk.tick("w1", 32) == []


async def test_a_delete_killed_half_way_can_be_repeated(desk: Desk) -> None:
    """The job goes last, so that its chunks are never left without anybody who knows of them."""
    job = await desk.load(250)

    class KilledError(Exception):
        """The process ends here."""

    async def die(*_: object) -> None:
        raise KilledError

    desk.jobs.client = _Dying(desk.jobs.client, die)
    with pytest.raises(KilledError):
        await desk.jobs.delete(job)
    desk.jobs.client = desk.ledger.client
    assert await desk.jobs.delete(job)
    assert not [name for name in await desk.names() if job in name.split(":")]


class _Dying:
    """A client whose process ends when it deletes a second kind of key."""

    def __init__(self, client: object, die: object) -> None:
        self._client, self.delete = client, die

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)


async def test_links_are_read_only_with_the_key(valkey_url: str) -> None:
    """Without a ledger key no link is kept."""
    async with open_desk(valkey_url) as desk:
        job = await desk.load(1)
        lease: Lease = await desk.lease()
        t = lease.ticket
        grant = await desk.begin(lease)
        outcome = Outcome(0, RowState.DONE, redeem_url="https://redeem.example/ticket")
        await desk.ledger.record_batch(t.job, 0, t.connection, t.lane, grant.batch, [outcome])
        assert [record["redeem_url"] async for record in desk.jobs.rows.results(job)] == [""]
        raw = await desk.ledger.client.hgetall(desk.keys.chunk(job, 0))
        assert not [name for name in raw if name.startswith(b"l")]


async def _load_silently(desk: Desk, silent_s: float) -> Loading:
    """A job of one written chunk, whose maker has not been heard of for so long."""
    loading = await desk.jobs.create("left", "contoso", Lane.BULK)
    assert loading
    for number in range(100):
        loading.put({"email": f"{number}@example.com"})
    await desk.jobs.write(loading, all_of_it=True)
    await desk.ledger.client.zincrby(desk.keys.loading(), -silent_s * 1000, "left")
    return loading


async def test_a_job_whose_maker_was_killed_while_loading_is_removed(desk: Desk) -> None:
    """Silent for an hour, and still so when looked at again: no trace of it is left. One that
    started is not touched.
    """
    job = await desk.load(5)
    await _load_silently(desk, 3700)
    assert await desk.jobs.remove_abandoned() == [], "Redis's clock alone proves nothing"
    assert await desk.jobs.remove_abandoned(sure_s=0) == ["left"]
    assert not [name for name in await desk.names() if "left" in name]
    assert await desk.jobs.view(job)
    assert await desk.ledger.client.exists(desk.keys.loading()) == 0


async def test_a_maker_that_is_still_there_keeps_its_job(desk: Desk) -> None:
    """It is heard of as it writes, or when it has nothing to write yet."""
    loading = await _load_silently(desk, 3700)
    assert await desk.jobs.remove_abandoned() == []
    loading.heard_s -= 61
    await desk.jobs.write(loading)
    assert await desk.jobs.remove_abandoned(sure_s=0) == []
    assert await desk.jobs.start(loading) is JobState.RUNNING


async def test_only_an_approval_lets_a_job_go_that_needs_one(desk: Desk) -> None:
    """Started, paused or resumed it is still held, and offered to nobody; approved, once, it runs,
    and is not held again.
    """
    loading = await desk.jobs.create("a1", "contoso", Lane.BULK, info={"by": "ada"}, needs_approval="Wait.")
    assert loading
    loading.put({"email": "a@example.com"})
    assert await desk.jobs.start(loading) is JobState.HELD
    assert await desk.jobs.pause("a1", "asked for") is JobState.HELD
    assert await desk.jobs.resume("a1") is JobState.HELD
    assert await desk.tick("w1", 32) == []
    view = await desk.jobs.view("a1")
    assert view
    assert (view.why, view.awaits_approval, view.waits_for_a_person) == ("Wait.", True, True)
    assert await desk.jobs.approve(view, "grace@desk")
    assert not await desk.jobs.approve(view, "eve@desk")
    assert await desk.jobs.park("a1", "Wait again.")
    await _work(desk)
    view = await desk.jobs.view("a1")
    assert view
    assert (view.state, view.approval, view.info["by"], view.info["approver"]) == (
        JobState.DONE,
        "grace@desk",
        "ada",
        "grace@desk",
    )


async def test_a_running_job_is_parked_and_goes_on_once_approved(desk: Desk) -> None:
    """What was in work comes back; nothing is offered meanwhile; what is approved is sent to its
    end.
    """
    job = await desk.load(250)
    lease = await desk.ledger.claim((await desk.tick("w1", 1))[0])
    assert lease
    assert not await desk.jobs.park(job, "Wait.")
    assert not (await desk.begin(lease)).rows
    await desk.ledger.release(lease)
    assert await desk.tick("w1", 32) == []
    view = await desk.jobs.view(job)
    assert view
    assert view.awaits_approval
    assert await desk.jobs.approve(view, "grace@desk")
    await _work(desk)
    assert await _view_counts(desk, job) == (JobState.DONE, Counts(rows=250, done=250))


async def test_a_jobs_time_begins_when_it_is_let_run(desk: Desk) -> None:
    """Not while its list is read, nor while somebody thinks about it, nor while it waits for
    approval.
    """
    client: Any = desk.client
    for approval in ("", "Somebody else approves it."):
        loading = await desk.jobs.create(f"job{bool(approval):d}", "contoso", Lane.BULK, needs_approval=approval)
        assert loading is not None
        loading.put({"email": "a@fabrikam.example"})
        await client.hincrby(desk.keys.job(loading.id), "created_at", -60_000)  # a minute ago
        await desk.jobs.start(loading)
        view = await desk.jobs.view(loading.id)
        assert view is not None
        if approval:
            await client.hincrby(desk.keys.job(loading.id), "started_at", -30_000)
            assert await desk.jobs.approve(view, "ada")
            view = await desk.jobs.view(loading.id)
            assert view is not None
        assert (view.began_at - view.created_at).total_seconds() >= 60


@pytest.mark.parametrize("options", [Options(send_message=False), Options(send_message=True), Options(resend=True)])
async def test_options_are_kept_as_they_were_said(desk: Desk, options: Options) -> None:
    """No mail is another wish than none at all: whoever said it is not to find guests mailed."""
    assert await desk.jobs.create("j", "contoso", Lane.BULK, options=options)
    view = await desk.jobs.view("j")
    assert view
    assert view.options == options


async def _load(desk: Desk, job: str) -> Loaded:
    row = ValidRow(1, None, {"email": "ann@partner.example"})
    return await load(desk.jobs, build_connection(), [row], job=job, operation="disable")


async def test_a_job_that_does_not_run_yet_is_dropped_without_a_trace(desk: Desk) -> None:
    """Nobody can start it afterwards; to drop it again changes nothing."""
    loaded = await _load(desk, "one")
    assert await drop(desk.jobs, loaded)
    assert not await drop(desk.jobs, loaded)
    assert not {name for name in await desk.names() if name.startswith(("chunk:", "job:"))}
    with pytest.raises(LedgerError, match="Somebody removed the job"):
        await start(desk.jobs, loaded)


async def test_a_job_is_dropped_whose_first_drop_was_cut_off(desk: Desk) -> None:
    """The mark was set, and its answer lost: the script says the same again, and no start helps."""
    loaded = await _load(desk, "one")
    mark = desk.jobs._scripts["drop_job"]
    assert [await mark(keys=[desk.keys.job("one")], args=[GOING]) for _ in range(2)] == [1, 1]
    assert await start(desk.jobs, loaded) is JobState.CANCELLED


async def test_a_job_that_was_started_is_not_dropped(desk: Desk) -> None:
    """Whoever started it may have heard of a failure; its results are what undoes it."""
    loaded = await _load(desk, "one")
    await start(desk.jobs, loaded)
    assert not await drop(desk.jobs, loaded)
    assert await _view_counts(desk, "one") == (JobState.RUNNING, Counts(rows=1, pending=1))


async def test_a_job_has_started_although_its_trail_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis goes away between the start and its entry: whoever started it is told that it runs."""

    async def away(*_: Any, **__: Any) -> None:
        raise redis.exceptions.ConnectionError("lost")

    loaded = await _load(desk, "one")
    monkeypatch.setattr(desk.jobs.trail, "note", away)
    assert await start(desk.jobs, loaded) is JobState.RUNNING
