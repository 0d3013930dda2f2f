"""The audit trail: what was done is in it, it outlives the jobs, no address is in it, and one
person can be taken out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers import Desk, open_desk
from worker.ledger.audit.log import AuditLog
from worker.ledger.audit.trail import Trail, event_line, row_lines
from worker.ledger.batches import Ledger
from worker.ledger.gates import Gates, HoldReason
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.model import ChunkEnd, Lane, Outcome, RowState
from worker.people.forget import forget
from worker.store.keyring import no_sealer

DAY_S = 86_400


def make_trail(desk: Desk, keep_s: float = 400 * DAY_S, actor: str = "ada@ops1", copy: AuditLog | None = None) -> Trail:
    """The trail of a process that can hash addresses."""
    index = GuestIndex(desk.client, desk.keys, no_sealer)
    return Trail(
        desk.client,
        desk.keys,
        keep_s=keep_s,
        actor=actor,
        index=index,
        tenant_key_of=lambda name: f"t/{name}",
        copy=copy,
    )


@pytest.fixture
async def desk(valkey_url: str) -> AsyncIterator[Desk]:
    """A ledger that keeps a trail."""
    async with open_desk(valkey_url) as desk:
        use(desk, make_trail(desk))
        yield desk


def use(desk: Desk, trail: Trail) -> None:
    """Let all that is done at a desk be noted."""
    desk.ledger.trail = desk.jobs.trail = trail
    desk.jobs.gates = desk.gates = Gates(desk.client, desk.keys, trail)


async def events(desk: Desk) -> list[dict[str, Any]]:
    """Every event, without its time."""
    lines = [event_line(event) async for event in desk.jobs.trail.events()]
    assert lines == sorted(lines, key=lambda line: str(line["at"]))
    return [{name: value for name, value in line.items() if name != "at"} for line in lines]


async def rows(desk: Desk, job: str = "") -> list[dict[str, Any]]:
    """Every row, in order."""
    found = [line async for job_, kept in desk.jobs.trail.rows(job) for line in row_lines(job_, kept)]
    return sorted(found, key=lambda line: (line["job"], line["row"]))


def invited(i: int, **changes: Any) -> Outcome:
    """An outcome as Graph gives it."""
    told = {"user_id": str(uuid.UUID(int=i + 1)), "request_id": "r1", "attempts": 1, "at_ms": 1_800_000_000_000}
    return Outcome(i, RowState.DONE, **{**told, **changes})


async def send(desk: Desk, indexes: Sequence[int] | None = None, *, whole: bool = False) -> str:
    """Send rows of the next chunk; `whole`: as a worker does that knows the chunk from end to end.
    Returns the job.
    """
    lease = await desk.lease()
    t = lease.ticket
    place = await GuestIndex(desk.client, desk.keys, no_sealer).place(
        f"t/{t.connection}", {i: row["email"] for i, row in enumerate(lease.rows)}
    )
    grant = await desk.ledger.begin_batch(
        lease, indexes or lease.pending()[:20], desk.buckets, tenant_key="t", client_key="c", index=place
    )
    outcomes = [invited(row.index) for row in grant.rows]
    end = ChunkEnd(lease.rows, outcomes, 0, lease.base) if whole else None
    recorded = await desk.ledger.record_batch(
        t.job, t.chunk, t.connection, t.lane, grant.batch, outcomes, place, None, end
    )
    assert recorded.folded is whole
    await desk.ledger.release(lease)
    return t.job


@pytest.mark.parametrize("whole", [True, False])
async def test_a_finished_chunk_is_kept_once_and_outlives_its_job(desk: Desk, whole: bool) -> None:
    """Folded with its last record or afterwards, twice or by two: the same entry; `jobs delete`
    leaves it.
    """
    job = await desk.load(3)
    await send(desk, whole=whole)
    await desk.ledger.fold(job, 0)
    await desk.ledger.fold(job, 0)
    kept = await rows(desk)
    assert [(line["row"], line["outcome"], line["request_id"]) for line in kept] == [
        (n, "invited", "r1") for n in (1, 2, 3)
    ]
    assert [line["object_id"] for line in kept] == [str(uuid.UUID(int=n)) for n in (1, 2, 3)]
    assert len({line["guest"] for line in kept}) == 3
    assert all(len(line["guest"]) == 24 for line in kept)
    await desk.jobs.delete(job)
    assert await rows(desk, job) == kept
    assert not [name for name in await desk.names() if job in name], "nothing else of it is left"


@pytest.mark.parametrize("way", ["end", "delete"])
async def test_a_chunk_that_is_left_unfinished_is_kept_too(desk: Desk, way: str) -> None:
    """When its job ends, or is deleted in the middle: a row on the wire may have been invited, and
    is kept as in doubt.
    """
    job = await desk.load(4)
    await send(desk, [0, 2])
    if way == "end":
        await desk.jobs.cancel(job, "enough")
        await desk.jobs.expire_ended()
        wanted = [(1, "invited", ""), (3, "invited", "")]
        assert len(await rows(desk)) == 2, "at its end, not only when it is deleted"
    else:
        lease = await desk.lease()
        await desk.begin(lease, [3])
        wanted = [(1, "invited", ""), (3, "invited", ""), (4, "in_doubt", "job_deleted")]
    await desk.jobs.delete(job)
    assert [(line["row"], line["outcome"], line["code"]) for line in await rows(desk)] == wanted


async def test_who_did_what_is_told_in_order(desk: Desk) -> None:
    """Submission, pause, resumption, approval, end, deletion; holds and reopenings of connection,
    tenant and everything.
    """
    job = await desk.load(1)
    await desk.jobs.pause(job, "asked for")
    await desk.jobs.resume(job)
    await send(desk, whole=True)
    await desk.jobs.expire_ended()
    await desk.jobs.expire_ended()
    await desk.jobs.delete(job)
    of_job = {"by": "ada@ops1", "job": job, "connection": "contoso"}
    assert await events(desk) == [
        {"what": "job.submitted", **of_job, "rows": 1, "to_send": 1},
        {"what": "job.paused", **of_job, "why": "asked for"},
        {"what": "job.resumed", **of_job},
        {"what": "job.ended", **of_job, "by": "usher", "state": "done", "rows": 1, "invited": 1},
        {"what": "job.deleted", **of_job, "was": "done", "rows": 1},
    ]
    before = len(await events(desk))
    await desk.gates.hold("contoso", HoldReason.OPERATOR, "Held for ann@example.org.")
    await desk.gates.hold("contoso", HoldReason.OPERATOR, "Again.")
    await desk.gates.reopen("contoso")
    await desk.gates.reopen("contoso")
    await desk.gates.hold_everything("Restored.")
    await desk.gates.reopen_everything()
    await desk.gates.block_tenant("global/t", "Blocked.")
    await desk.gates.block_tenant("global/t", "Blocked.")
    await desk.gates.reopen("contoso", tenant_key="global/t")
    told = (await events(desk))[before:]
    assert [event["what"] for event in told] == [
        *("connection.held", "connection.reopened", "everything.held", "everything.reopened"),
        *("tenant.blocked", "tenant.reopened"),
    ]
    assert told[0]["why"] == "Held for …@…"


async def test_an_approval_names_both(desk: Desk) -> None:
    """Who asked, and who let it go."""
    loading = await desk.jobs.create(
        "needs", "contoso", Lane.BULK, info={"by": "bob", "host": "ops2"}, needs_approval="Wait."
    )
    assert loading is not None
    loading.put({"email": "a@example.com"})
    await desk.jobs.start(loading)
    await desk.jobs.pause("needs", "asked for")
    assert (await events(desk))[-1]["what"] == "job.paused"
    view = await desk.jobs.view("needs")
    assert view is not None
    assert await desk.jobs.approve(view, "ada@ops1")
    assert (await events(desk))[-1] == {
        "what": "job.approved", "by": "ada@ops1", "job": "needs", "connection": "contoso", "submitted_by": "bob@ops2",
    }  # fmt: skip


async def test_a_run_of_refusals_that_holds_a_job_is_in_it(desk: Desk) -> None:
    """Nobody did that, and it is once there."""
    from worker.ledger.model import Refusals

    job = await desk.load(4)
    lease = await desk.lease()
    for _ in range(2):
        grant = await desk.begin(lease, lease.pending()[:2])
        outcomes = [Outcome(row.index, RowState.FAILED, code="x", attempts=1) for row in grant.rows]
        t = lease.ticket
        await desk.ledger.record_batch(
            t.job, t.chunk, t.connection, t.lane, grant.batch, outcomes, None, Refusals(2, 1.0, ("x", "x"))
        )
    held = [event for event in await events(desk) if event["what"] == "job.held"]
    assert held == [
        {
            "what": "job.held",
            "by": "usher",
            "job": job,
            "connection": "contoso",
            "why": "Microsoft refused 2 rows in a row",
        }
    ]


async def test_no_address_is_in_it_and_one_person_can_be_taken_out(desk: Desk) -> None:
    """Not in any key of the trail; after `forget` her rows are there without a hash, the others as
    they were.
    """
    job = await desk.load(3)
    await send(desk, whole=True)
    await desk.jobs.trail.note(
        "connection.held", why="because of j1-2@example.com, she said", list="j1-2@example.com.csv"
    )
    client: Any = desk.client
    everything = ""
    for name in await desk.names():
        if name.startswith("audit:"):
            key = f"{desk.keys.prefix}:{name}"
            is_stream = name.endswith(":events")
            everything += repr(await client.xrange(key) if is_stream else await client.hgetall(key))
    assert everything
    assert "example.com" not in everything
    before = await rows(desk)
    done = await forget(desk.ledger, GuestIndex(desk.client, desk.keys, no_sealer), f"{job}-2@EXAMPLE.com")
    assert (done.rows, done.audited) == (1, 1)
    after = await rows(desk)
    assert [line["guest"] for line in after] == [before[0]["guest"], "", before[2]["guest"]]
    assert [line["object_id"] for line in after] == [line["object_id"] for line in before]
    await desk.jobs.delete(job)
    assert [line["guest"] for line in await rows(desk)][1] == ""


async def test_it_goes_by_itself_and_can_be_switched_off(desk: Desk) -> None:
    """Each generation has its expiry, at most one of 30 days later than asked for; with 0 nothing
    is written.
    """
    await desk.load(1)
    await send(desk, whole=True)
    client: Any = desk.client
    keys = [f"{desk.keys.prefix}:{name}" for name in await desk.names() if name.startswith("audit:")]
    assert len(keys) == 2
    for key in keys:
        assert 400 * DAY_S - 60 < await client.ttl(key) <= 430 * DAY_S
        await client.delete(key)
    use(desk, make_trail(desk, keep_s=0))
    job = await desk.load(1)
    await send(desk, whole=True)
    await desk.jobs.expire_ended()
    await desk.jobs.delete(job)
    assert not [name for name in await desk.names() if name.startswith("audit:")]


async def test_without_the_key_of_the_hashes_rows_are_kept_without(desk: Desk) -> None:
    """Rather than with wrong ones: `usher jobs delete` runs without the ledger's key."""
    job = await desk.load(2)
    await send(desk, [0])
    use(desk, Trail(desk.client, desk.keys, keep_s=DAY_S, actor="eve@ops3"))
    await desk.jobs.delete(job)
    assert [(line["row"], line["guest"]) for line in await rows(desk)] == [(1, "")]
    assert (await events(desk))[-1]["by"] == "eve@ops3"


async def test_the_audit_log_gets_every_entry(desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Events and rows, a line of JSON each, also after the file was moved away; one that cannot be
    written is told of once.
    """
    path = tmp_path / "audit.log"
    copy = AuditLog(str(path))
    use(desk, make_trail(desk, copy=copy))
    await desk.load(1)
    path.rename(tmp_path / "audit.log.1")
    await send(desk, whole=True)
    copy.close()
    (submitted,) = [json.loads(line) for line in (tmp_path / "audit.log.1").read_text().splitlines()]
    (row,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (submitted["what"], row["what"], row["outcome"], "email" in row) == (
        "job.submitted",
        "row",
        "invited",
        False,
    )
    nowhere = AuditLog(str(tmp_path / "no" / "folder"))
    for _ in range(2):
        nowhere.write({"what": "x"})
    nowhere.close()
    assert caplog.text.count("cannot be written") == 1


def test_a_ledger_without_a_trail_keeps_none(valkey_url: str) -> None:
    """As tests and benchmarks make one."""
    from worker.ledger.keys import Keys
    from worker.store.client import open_client

    assert Ledger(open_client(valkey_url), Keys("x")).trail.keep_ms == 0
