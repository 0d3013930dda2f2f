"""Stages under every order of events that Hypothesis can think of, on a real server: batches that
are answered, lost, or recorded late or twice, lists that gather, refusals and gates that hold a job
or one of its stages, people who pause, end and delete.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.clocked import counting_clock
from tests.ledgers import Desk, open_desk
from worker.ledger import loading as loading_module
from worker.ledger import scripts
from worker.ledger.gates import HoldReason
from worker.ledger.loading import LoadingStage
from worker.ledger.model import Grant, Lane, Lease, Options, Outcome, Refusals, RowState
from worker.ledger.stages import split_stage, stage_id
from worker.operations.stages import Chain

CHANNELS = ("contoso", "contoso+profile", "contoso+groups")
MARKS = {"f": "x", ".": "-"}
"""What a letter counts as in a run of refusals; any other is good."""
_numbers = itertools.count()


@dataclass(eq=False)
class Sent:
    """A batch on the wire."""

    lease: Lease
    grant: Grant


class StagesMachine(RuleBasedStateMachine):
    """Workers and people at one ledger, whose jobs have two stages."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        prefix = f"s{os.getpid()}x{next(_numbers)}"
        self.source_of, with_clock = scripts.source_of, counting_clock(f"{prefix}:clock")
        scripts.source_of = lambda name: with_clock(self.source_of.__wrapped__(name))  # type: ignore[assignment]
        self.desk: Desk = self.do(self.stack.enter_async_context(open_desk(self.url, prefix=prefix, settle_s=0.0)))
        self.chunk_rows, loading_module.CHUNK_ROWS = loading_module.CHUNK_ROWS, 3
        self.made = 0
        self.rows: dict[str, list[dict[str, Any]]] = {}  # of each job that is not deleted
        self.leases: list[Lease] = []
        self.wire: list[Sent] = []
        for channel in CHANNELS:
            self.do(self.desk.trust(channel))

    def do(self, work: Any) -> Any:
        """Run one coroutine."""
        return self.loop.run_until_complete(work)

    @initialize(data=st.data())
    def begin_with_a_job(self, data: st.DataObject) -> None:
        """There is something to do."""
        self.load(data)

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One thing happens."""
        possible = ["tick"] * 4 + ["gather"] + (["load"] if len(self.rows) < 3 else [])
        possible += ["begin"] * 6 + ["lose"] if self.leases else []
        possible += ["record"] * 6 + ["lose_answer"] if self.wire else []
        possible += ["move", "gate"] if self.rows else []
        getattr(self, data.draw(st.sampled_from(possible)))(data)

    def load(self, data: st.DataObject) -> None:
        """Somebody submits a list."""
        self.made += 1
        job = f"j{self.made}"
        rows: list[dict[str, Any]] = [
            {
                "email": f"{job}-{n}@x.example",
                "company": "X",
                "groups": data.draw(st.lists(st.sampled_from("ABC"), unique=True)),
            }
            for n in range(data.draw(st.integers(1, 7)))
        ]
        self.rows[job] = rows
        self.do(self._load(job, rows, data.draw(st.sampled_from((0, 0, 2)))))

    async def _load(self, job: str, rows: list[dict[str, Any]], pilot: int) -> None:
        stages = [LoadingStage("profile", CHANNELS[1], 1), LoadingStage("groups", CHANNELS[2], 2)]
        loading = await self.desk.jobs.create(job, CHANNELS[0], Lane.BULK, stages=stages, pilot=pilot)
        assert loading is not None
        for row in rows:
            loading.put(row, asks=["profile", "groups"] if row["groups"] else ["profile"])
        await self.desk.jobs.start(loading)

    def tick(self, data: st.DataObject) -> None:
        """A dispatcher ticks, and its messages arrive."""
        for ticket in self.do(self.desk.tick("w1", 16)):
            lease = self.do(self.desk.ledger.claim(ticket))
            if lease is None:
                continue
            if ticket.lane is Lane.DOUBT:
                self.do(self._settle(lease, data.draw(st.sampled_from("ii."))))
            else:
                self.leases.append(lease)

    def gather(self, data: st.DataObject) -> None:
        """Time passes."""
        self.do(self._let_pass())

    def begin(self, data: st.DataObject) -> None:
        """A worker sends."""
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        grant = self.do(self.desk.begin(lease))
        if grant.rows:
            self.wire.append(Sent(lease, grant))
        else:
            self.do(self.desk.ledger.release(lease))

    def record(self, data: st.DataObject) -> None:
        """Answers come and are recorded, perhaps twice."""
        at = data.draw(st.integers(0, len(self.wire) - 1))
        letters = [data.draw(st.sampled_from("iiigf.")) for _ in self.wire[at].grant.rows]
        times = data.draw(st.sampled_from((1, 1, 2)))
        sent = self.wire.pop(at)  # after the last draw, with which an example may end: a batch would be forgotten
        for _ in range(times):
            self.do(self._record(sent, letters))
        self.do(self.desk.ledger.release(sent.lease))

    def lose(self, data: st.DataObject) -> None:
        """A worker dies before it sends."""
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        self.do(self._end_lease(lease))

    def lose_answer(self, data: st.DataObject) -> None:
        """A worker dies with rows on the wire; or it is not heard of for too long, and records its
        answer late.
        """
        sent = self.wire.pop(data.draw(st.integers(0, len(self.wire) - 1)))
        self.do(self._end_lease(sent.lease))
        if data.draw(st.booleans()):
            self.wire.insert(0, sent)

    def gate(self, data: st.DataObject) -> None:
        """A channel is opened, or held: until somebody opens it, or until a row goes through."""
        channel = data.draw(st.sampled_from(CHANNELS))
        kind = data.draw(st.sampled_from((None, None, HoldReason.OPERATOR, HoldReason.TENANT)))
        if kind is None:
            self.do(self.desk.gates.reopen(channel))
        else:
            try_s = 0.001 if kind is HoldReason.TENANT else None
            self.do(self.desk.gates.hold(channel, kind, "a test", try_s=try_s))

    def move(self, data: st.DataObject) -> None:
        """A person steps in."""
        job = data.draw(st.sampled_from(sorted(self.rows)))
        match data.draw(st.sampled_from(("pause", "resume", "resume", "cancel", "delete"))):
            case "pause":
                self.do(self.desk.jobs.pause(job, "a test"))
            case "resume":
                self.do(self.desk.jobs.resume(job))
            case "cancel":
                self.do(self.desk.jobs.cancel(job))
            case _:
                self.do(self.desk.jobs.delete(job))
                del self.rows[job]

    async def _record(self, sent: Sent, letters: list[str]) -> None:
        lease, t = sent.lease, sent.lease.ticket
        outcomes = [
            Outcome(row.index, RowState(letter), attempts=row.attempt)
            for row, letter in zip(sent.grant.rows, letters, strict=True)
        ]
        chained = Chain.of(t.job, t.chunk, lease.base, Options(), lease.stages).tell(lease.rows, outcomes)
        refusals = Refusals(2, 1.0, tuple(MARKS.get(letter, "o") for letter in letters))
        await self.desk.ledger.record_batch(
            t.job, t.chunk, t.connection, t.lane, sent.grant.batch, outcomes, refusals=refusals, chained=chained
        )

    async def _settle(self, lease: Lease, letter: str = "i") -> None:
        ledger, channel = self.desk.ledger, lease.ticket.connection
        for doubt in await self.desk.doubts(channel, 100):
            chunk = await ledger.doubts.rows_of(doubt.job, doubt.chunk)
            if chunk is None:
                continue
            outcome = Outcome(doubt.index, RowState(letter), attempted_at_ms=doubt.attempted_at_ms)
            chain = Chain.of(doubt.job, doubt.chunk, chunk.base, chunk.options, chunk.stages)
            chained = chain.tell(chunk.rows, [outcome])
            await ledger.record_look_up(doubt.job, doubt.chunk, channel, chunk.lane, [outcome], None, chained)
        await ledger.doubts.end_look_up(channel)
        await ledger.release(lease)

    async def _end_lease(self, lease: Lease) -> None:
        client: Any = self.desk.client
        await client.zadd(self.desk.keys.leases(), {str(lease.ticket): 0}, xx=True)

    async def _let_pass(self) -> None:
        k = self.desk.keys
        for job in self.rows:
            for operation in ("profile", "groups"):
                await self.desk.make_past(f"{k.job(stage_id(job, operation))}:gathering")
        doubts = map(k.doubts, CHANNELS)
        for zset in (k.gathering(), k.offers(), k.due(), k.due_doubts(), *doubts):
            await self.desk.make_past(zset)

    @invariant()
    def heal_finds_nothing(self) -> None:
        """No order of events leaves a list that does not fit, so that healing had something to
        do.
        """
        self.do(self._heal())

    async def _heal(self) -> None:
        client: Any = self.desk.client
        await client.delete(self.desk.keys.healed())
        assert await self.desk.ledger.offers.heal() == 0

    def teardown(self) -> None:
        """From wherever it stands, every job ends; each guest who is there has just their items,
        once each, and whoever is not has none.
        """
        try:
            self.do(self._finish())
        finally:
            loading_module.CHUNK_ROWS = self.chunk_rows
            scripts.source_of = self.source_of
            self.do(self.stack.aclose())
            self.loop.close()

    async def _finish(self) -> None:
        for channel in CHANNELS:
            await self.desk.gates.reopen(channel)
        for _ in range(200):
            views = [await self.desk.jobs.view(job) for job in self.rows]
            if all(view is not None and view.ended for view in views):
                break
            for view in views:
                if view is not None and not view.ended:
                    await self.desk.jobs.resume(view.id)
            for sent in self.wire:
                await self._record(sent, ["i"] * len(sent.grant.rows))
                await self.desk.ledger.release(sent.lease)
            for lease in self.leases:
                await self.desk.ledger.release(lease)
            self.wire, self.leases = [], []
            await self.desk.make_past(self.desk.keys.leases())
            await self._let_pass()
            await self._work()
        else:
            raise AssertionError(f"jobs that never end: {[view for view in views if view and not view.ended]}")
        for job, rows in self.rows.items():
            await self._check(job, rows)
        await self._heal()
        client: Any = self.desk.client
        assert not await client.zcard(self.desk.keys.gathering())
        left = {name.split(":")[1] for name in await self.desk.names() if name.startswith(("job:", "chunk:", "stage:"))}
        assert {split_stage(name)[0] for name in left} <= self.rows.keys(), "a deleted job has left something"

    async def _work(self) -> None:
        for ticket in await self.desk.tick("w1", 16):
            lease = await self.desk.ledger.claim(ticket)
            if lease is None:
                continue
            if ticket.lane is Lane.DOUBT:
                await self._settle(lease)
            elif (grant := await self.desk.begin(lease)).rows:
                self.wire.append(Sent(lease, grant))
            else:
                await self.desk.ledger.release(lease)

    async def _check(self, job: str, rows: list[dict[str, Any]]) -> None:
        desk = self.desk
        view = await desk.jobs.view(job)
        assert view is not None
        is_cancelled = view.state.value == "cancelled"
        records = [record async for record in desk.jobs.rows.results(job)]
        items = Counter[tuple[int, str]]()
        async for contents in desk.jobs.rows.chunks(stage_id(job, "groups")):
            items.update(_items(contents.rows))
        for counts in view.stages.values():
            ended = (counts.done, counts.already, counts.skipped, counts.failed, counts.cancelled)
            assert (counts.rows, counts.pending) == (sum(ended), 0)
        for row, record in zip(rows, records, strict=True):
            status = record.get("groups_status", "")
            if not row["groups"]:
                assert status == ""
            elif record["status"] == "failed":
                assert status in ("skipped", "cancelled") if is_cancelled else status == "skipped"
            elif not is_cancelled:
                assert status in ("done", "already", "failed")
        if not is_cancelled:
            there = [row for row, record in zip(rows, records, strict=True) if record["status"] != "failed"]
            assert sum(items.values()) == sum(len(row["groups"]) for row in there)
        assert not items or max(items.values()) == 1, "an item was made twice"


def _items(rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(row.get("row", id(row)), row.get("target", "")) for row in rows]


@pytest.mark.timeout(900)
def test_no_order_of_events_loses_or_doubles_an_item(valkey_url: str) -> None:
    """Every guest who is there has each of their items once, and every job ends with its stages."""
    StagesMachine.url = valkey_url
    run_state_machine_as_test(
        StagesMachine,
        settings=settings(
            max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
