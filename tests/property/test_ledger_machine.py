"""The ledger's scripts under every order of events that Hypothesis can think of, on a real server.

The model plays the workers, Graph and its directory: it decides what becomes of each batch
(answered, throttled, lost before or after processing, answered after its lease was lost, never
recorded at all) and looks rows in doubt up as the settler does.
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
from tests.property.ledger_checks import CONNECTIONS, check_ledger
from worker.ledger import loading as loading_module
from worker.ledger import scripts
from worker.ledger.doubts import DoubtfulRow
from worker.ledger.gates import HoldReason
from worker.ledger.model import FINAL, Grant, Lane, Lease, Outcome, RowState, Ticket

_numbers = itertools.count()
Place = tuple[str, int, int]  # job, chunk, row


@dataclass(eq=False)
class Sent:
    """A batch on the wire: for each of its rows, whether Graph processed it, and what answer it
    would give.
    """

    lease: Lease
    grant: Grant
    answers: dict[int, RowState]


@dataclass(eq=False)
class Look:
    """A look-up under way: its rows, and what the directory showed."""

    connection: str
    rows: list[DoubtfulRow]
    seen: set[Place]


class LedgerMachine(RuleBasedStateMachine):
    """Workers, Graph and people at one ledger."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.source_of = scripts.source_of
        prefix = f"m{os.getpid()}x{next(_numbers)}"
        with_clock = counting_clock(f"{prefix}:clock")
        scripts.source_of = lambda name: with_clock(self.source_of.__wrapped__(name))  # type: ignore[assignment]
        self.desk: Desk = self.do(self.stack.enter_async_context(open_desk(self.url, prefix=prefix, settle_s=0.0)))
        self.chunk_rows, loading_module.CHUNK_ROWS = loading_module.CHUNK_ROWS, 3
        self.jobs: dict[str, str] = {}  # id → connection, of those not deleted
        self.deleted: set[str] = set()
        self.tickets: list[Ticket] = []
        self.leases: list[Lease] = []  # those that some worker still believes to have, without a batch on the wire
        self.wire: list[Sent] = []
        self.looks: list[Look] = []
        self.mails: Counter[Place] = Counter()
        self.unresolved: set[Place] = set()
        self.claimed: set[Ticket] = set()

    def do(self, work: Any) -> Any:
        """Run one coroutine."""
        return self.loop.run_until_complete(work)

    def letter(self, place: Place) -> str:
        """Return a row's letter, '' where it was deleted."""
        job, chunk, row = place
        return "" if job in self.deleted else self.do(self.desk.letters(job, chunk))[row]

    def note(self, place: Place, before: str) -> None:
        """After a record: a row that ended, or may be sent again, has no attempt open any more."""
        if self.letter(place) in FINAL or (before in ("s", "d") and self.letter(place) == "."):
            self.unresolved.discard(place)

    def pick(self, data: st.DataObject, things: list[Any]) -> Any:
        """Draw one and take it out; the newest is the simplest."""
        return things.pop(-1 - data.draw(st.integers(0, len(things) - 1)))

    @initialize(connection=st.sampled_from(CONNECTIONS), rows=st.integers(4, 12))
    def begin_with_a_job(self, connection: str, rows: int) -> None:
        """There is something to do."""
        self.jobs[self.do(self.desk.load(rows, connection))] = connection

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One thing happens. (Rules of their own would be chosen without weights, and some left out
        of each run.)
        """
        busy = bool(self.leases or self.wire)
        possible = ["gate", "move"] if self.jobs else []
        possible += ["load"] if len(self.jobs) < 5 else []
        possible += ["tick"] * (2 if busy else 6)
        possible += ["deliver"] if self.tickets else []
        possible += ["begin"] * 6 + ["end_lease"] * 2 if self.leases else []
        possible += ["record"] * 5 + ["lose_lease"] * 3 + ["release_early"] if self.wire else []
        possible += ["look"] * 3 if self.unresolved else []
        possible += ["judge"] * 3 if self.looks else []
        getattr(self, data.draw(st.sampled_from(possible)))(data)

    # People

    def load(self, data: st.DataObject) -> None:
        """Somebody submits a list."""
        job = self.do(
            self.desk.load(
                data.draw(st.integers(1, 12)),
                data.draw(st.sampled_from(CONNECTIONS)),
                lane=data.draw(st.sampled_from((Lane.BULK, Lane.BULK, Lane.NOW))),
                pilot=data.draw(st.sampled_from((0, 0, 2))),
                ended=data.draw(st.lists(st.integers(1, 8), max_size=3)),
            )
        )
        self.jobs[job] = self.do(self.desk.field(self.desk.keys.job(job), "connection"))

    def move(self, data: st.DataObject) -> None:
        """Somebody pauses, resumes, cancels or deletes a job."""
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        action = data.draw(st.sampled_from(("resume", "resume", "resume", "pause", "cancel", "delete")))
        if action == "delete":
            self.do(self.desk.jobs.delete(job))
            del self.jobs[job]
            self.deleted.add(job)
        elif action == "pause":
            self.do(self.desk.jobs.pause(job, "a test"))
        elif action == "resume":
            self.do(self.desk.jobs.resume(job))
        else:
            self.do(self.desk.jobs.cancel(job))

    def gate(self, data: st.DataObject) -> None:
        """A connection is opened, or held."""
        connection = data.draw(st.sampled_from(CONNECTIONS))
        kind = data.draw(st.sampled_from((None, None, HoldReason.OPERATOR, HoldReason.TENANT)))
        if kind is None:
            self.do(self.desk.gates.reopen(connection))
        else:
            try_s = 0.001 if kind is HoldReason.TENANT else None
            self.do(self.desk.gates.hold(connection, kind, "a test", try_s=try_s))

    # Workers

    def tick(self, data: st.DataObject) -> None:
        """A dispatcher ticks and its messages arrive, except a few that are lost or late."""
        worker, seats = data.draw(st.sampled_from(("w1", "w2"))), data.draw(st.sampled_from((8, 8, 8, 4, 0)))
        for ticket in self.do(self.desk.tick(worker, seats)):
            self.tickets.append(ticket)
            if data.draw(st.sampled_from((True, True, True, False))):
                self.claim(ticket)

    def claim(self, ticket: Ticket) -> None:
        """A message arrives."""
        lease = self.do(self.desk.ledger.claim(ticket))
        if lease is None:
            return
        assert ticket not in self.claimed, "a ticket was claimed twice"
        self.claimed.add(ticket)
        if ticket.lane is Lane.DOUBT:
            self.do(self.desk.ledger.release(lease))
        else:
            self.leases.append(lease)

    def deliver(self, data: st.DataObject) -> None:
        """A message arrives late, or for the second time; or it never arrives and the offer's time
        is over.
        """
        ticket = data.draw(st.sampled_from(self.tickets))
        if data.draw(st.booleans()):
            self.claim(ticket)
        else:
            self.do(self.desk.client.zadd(self.desk.keys.offers(), {str(ticket): 1}, xx=True))

    def begin(self, data: st.DataObject) -> None:
        """A worker begins its next batch; Graph processes it, or does not."""
        lease = self.pick(data, self.leases)
        wanted = [i for i in lease.pending() if data.draw(st.sampled_from((True, True, False)))] or lease.pending()
        stale = data.draw(st.sampled_from((False, False, True)))  # a worker whose picture of its rows is old
        grant = self.do(self.desk.begin(lease, range(len(lease.letters)) if stale else wanted))
        if not grant.rows:
            self.do(self.desk.ledger.release(lease))
            return
        answers = {}
        for row in grant.rows:
            place = (lease.ticket.job, lease.ticket.chunk, row.index)
            assert place not in self.unresolved, "a row was sent again before its last attempt was resolved"
            self.unresolved.add(place)
            fate = data.draw(st.sampled_from(("invited", "throttled", "lost", "lost_after", "failed")))
            if fate in ("invited", "lost_after"):
                self.mails[place] += 1
                assert self.mails[place] == 1, "mailed twice"
            letters = {"invited": RowState.DONE, "failed": RowState.FAILED, "throttled": RowState.PENDING}
            answers[row.index] = letters.get(fate, RowState.IN_DOUBT)
        self.wire.append(Sent(lease, grant, answers))

    def record(self, data: st.DataObject) -> None:
        """The answer is recorded, however late."""
        sent = self.pick(data, self.wire)
        t = sent.lease.ticket
        left_out = data.draw(st.sampled_from((0, 0, 0, 1)))
        outcomes = [Outcome(index, letter) for index, letter in sent.answers.items()][left_out:]
        places = [(t.job, t.chunk, outcome.index) for outcome in outcomes]
        before = [self.letter(place) for place in places]
        for _ in range(data.draw(st.sampled_from((1, 1, 2)))):  # twice: redis-py repeats a call whose answer was lost
            self.do(self.desk.ledger.record_batch(t.job, t.chunk, t.connection, t.lane, sent.grant.batch, outcomes))
        for place, letter in zip(places, before, strict=True):
            self.note(place, letter)
        letters = list(sent.lease.letters)
        for index, answer in sent.answers.items():
            letters[index] = answer.value
        sent.lease.letters = "".join(letters)
        self.leases.append(sent.lease)

    def lose_lease(self, data: st.DataObject) -> None:
        """A worker dies with a batch on the wire, or is not heard of for too long and then records
        it.
        """
        sent = self.pick(data, self.wire)
        self.do(self.desk.client.zadd(self.desk.keys.leases(), {str(sent.lease.ticket): 1}, xx=True))
        if data.draw(st.booleans()):
            self.wire.insert(0, sent)

    def release_early(self, data: st.DataObject) -> None:
        """A worker's task is cancelled; what was on the wire may still be recorded."""
        sent = self.pick(data, self.wire)
        self.do(self.desk.ledger.release(sent.lease))
        self.wire.insert(0, sent)

    def end_lease(self, data: st.DataObject) -> None:
        """A worker gives its chunk back, dies with it, or is not heard of for too long and then
        goes on.
        """
        lease = self.pick(data, self.leases)
        how = data.draw(st.sampled_from(("release", "die", "freeze", "renew")))
        if how == "release":
            put_off_s = data.draw(st.sampled_from((0.0, 0.0, 0.005)))
            self.do(self.desk.ledger.release(lease, put_off_s=put_off_s))
        elif how == "renew":
            self.do(self.desk.ledger.renew([lease]))
        else:
            self.do(self.desk.client.zadd(self.desk.keys.leases(), {str(lease.ticket): 1}, xx=True))
        if how in ("freeze", "renew"):
            self.leases.insert(0, lease)

    # The settler

    def look(self, data: st.DataObject) -> None:
        """Somebody looks rows in doubt up."""
        for connection in CONNECTIONS:
            rows = self.do(self.desk.doubts(connection, 100))
            if rows:
                self.looks.append(Look(connection, rows, set(self.mails)))

    def judge(self, data: st.DataObject) -> None:
        """What was seen is recorded, perhaps long after, and perhaps twice."""
        look = self.pick(data, self.looks)
        if data.draw(st.sampled_from((False, False, True))):
            self.looks.insert(0, look)
        absent = data.draw(st.sampled_from((RowState.PENDING, RowState.PENDING, RowState.IN_DOUBT)))
        for doubt in look.rows:
            place = (doubt.job, doubt.chunk, doubt.index)
            before = self.letter(place)
            letter = RowState.DONE if place in look.seen else absent
            outcome = Outcome(doubt.index, letter, attempted_at_ms=doubt.attempted_at_ms)
            lane = Lane(self.do(self.desk.field(self.desk.keys.job(doubt.job), "lane")) or "b")
            self.do(self.desk.ledger.record_batch(doubt.job, doubt.chunk, look.connection, lane, 0, [outcome]))
            self.note(place, before)
        self.do(self.desk.ledger.doubts.end_look_up(look.connection))

    # What always holds

    @invariant()
    def fits(self) -> None:
        """Counts are those of the letters, and every chunk and row is in just the lists it should
        be in.
        """
        self.do(check_ledger(self.desk, self.jobs, self.deleted))

    @invariant()
    def heal_finds_nothing(self) -> None:
        """No order of events leaves a list that does not fit, so that healing had something to
        do.
        """
        self.do(self.desk.client.delete(self.desk.keys.healed()))
        assert self.do(self.desk.ledger.offers.heal()) == 0

    def teardown(self) -> None:
        """From wherever it stands, every job ends once nothing goes wrong any more, and everybody
        was mailed at most once.
        """
        try:
            self.do(self._finish())
        finally:
            self.end()

    def end(self) -> None:
        """Close what was opened."""
        loading_module.CHUNK_ROWS = self.chunk_rows
        scripts.source_of = self.source_of
        self.do(self.stack.aclose())
        self.loop.close()

    async def _settle(self, connection: str) -> None:
        for doubt in await self.desk.doubts(connection, 100):
            place = (doubt.job, doubt.chunk, doubt.index)
            letter = RowState.DONE if self.mails[place] else RowState.PENDING
            outcome = Outcome(doubt.index, letter, attempted_at_ms=doubt.attempted_at_ms)
            await self.desk.ledger.record_batch(doubt.job, doubt.chunk, connection, Lane.BULK, 0, [outcome])
            self.unresolved.discard(place)
        await self.desk.ledger.doubts.end_look_up(connection)

    async def _finish(self) -> None:
        desk = self.desk
        for connection in CONNECTIONS:
            await desk.gates.reopen(connection)
        for _ in range(200):
            states = {job: await desk.jobs.view(job) for job in self.jobs}
            for job, view in states.items():
                assert view is not None
                if view.state.value == "paused":
                    await desk.jobs.resume(job)
            if all(view is not None and view.ended for view in states.values()):
                break
            k = desk.keys
            for zset in (k.leases(), k.offers(), k.due(), k.due_now(), k.due_doubts(), *map(k.doubts, CONNECTIONS)):
                await desk.make_past(zset)
            for ticket in await desk.tick("w1", 16):
                lease = await desk.ledger.claim(ticket)
                if lease is None:
                    continue
                if ticket.lane is Lane.DOUBT:
                    await desk.ledger.release(lease)
                    await self._settle(ticket.connection)
                    continue
                grant = await desk.begin(lease)
                for row in grant.rows:
                    place = (ticket.job, ticket.chunk, row.index)
                    assert place not in self.unresolved
                    self.mails[place] += 1
                await desk.record(lease, grant)
                await desk.ledger.release(lease)
        else:
            raise AssertionError(
                f"jobs that never end: {[job for job, view in states.items() if view and not view.ended]}"
            )
        assert not self.mails or max(self.mails.values()) == 1, "mailed twice"
        for job, view in states.items():
            assert view is not None
            invited = sum(1 for place, n in self.mails.items() if place[0] == job and n)
            assert view.counts.done == invited, "somebody who was mailed is not reported as invited"
            assert view.counts.pending == 0


@pytest.mark.timeout(900)
def test_no_order_of_events_loses_or_doubles_a_row(valkey_url: str) -> None:
    """Every row has one state, is sent again only when its last attempt is resolved, and every job
    ends.
    """
    LedgerMachine.url = valkey_url
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
