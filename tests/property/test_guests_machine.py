"""Guests under every order of events that Hypothesis can think of: a worker's real parts on a real
server, in a tenant that the machine plays.

Beside the moves of `test_ledger_machine.py` (lists, people, dispatchers, messages, gates) it
decides what becomes of each request on the wire, lets reads be throttled or refused, workers die,
the ledger's key roll over, guests be deleted from the tenant, time pass. Several jobs want the same
few people, some of whom were invited by somebody else long ago and have not accepted: Graph mails
them whenever it is asked.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from config.reader import load_settings
from tests.ledgers import new_key_text
from tests.property.ledger_checks import CONNECTIONS
from tests.property.tenants import INVITES, READS, Answered, Call, Guest, PlayedTenant, start_worker
from tests.property.test_ledger_machine import LedgerMachine
from worker.clocks import Clocks
from worker.directory.lookups import LookUps
from worker.graph.client import GraphClient
from worker.ledger.model import JobState, Lane, Options, RowState, Ticket
from worker.sending.backoff import Backoff
from worker.sending.leases import Leases
from worker.sending.reactions import Reactions
from worker.sending.runner import ChunkRunner
from worker.sending.settler import Settler
from worker.services import Services, open_services
from worker.signin.credentials import make_token
from worker.signin.tokens import TokenSource

PEOPLE = [f"p{number}@partner.example" for number in range(4)]
INVITED_BEFORE = PEOPLE[:1]
"""By somebody else; they have not accepted. Few people: several jobs are to want the same."""
EPOCH_MS = 1_800_000_000_000  # where `tests.clocked.counting_clock` begins
SETTLE_S, LEASE_S, LAG_MS = 4.0, 3000.0, 1500
_TENANT = "1" * 8 + "-1111-1111-1111-" + "1" * 12


class GuestsMachine(LedgerMachine):
    """Real workers, and the people whom they invite."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ug-", dir="/tmp"))
        self.stack.callback(shutil.rmtree, self.folder)
        self.key_files: list[str] = []
        self.clock_ms = 0
        self.passed_ms = 0
        self.resends: set[str] = set()
        self.wrong: list[str] = []
        self.people_of: dict[str, list[str]] = {}
        self.mailed_by: Counter[tuple[str, str]] = Counter()  # address and job, since the guest was last deleted
        self.tenant = PlayedTenant(lambda: EPOCH_MS + self.clock_ms, self.mail)
        for address in INVITED_BEFORE:
            self.tenant.guests[address] = Guest(EPOCH_MS - 10**9, 0)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.dead: set[asyncio.Task[Any]] = set()
        self.loop.time = lambda: self.clock_ms / 1000  # type: ignore[method-assign]  # what happens hangs on no other clock
        for part in (self.desk.ledger, self.desk.ledger.offers):
            part.settle_s, part.lease_s = SETTLE_S, LEASE_S
        self.add_key()
        self.services: Services = self.do(
            self.stack.enter_async_context(open_services(lambda: self.settings, self.url))
        )
        self.services.clocks = Clocks(self.loop.time)
        self.services.graph = cast(GraphClient, self.tenant)
        self.services.tokens = cast(TokenSource, SimpleNamespace(get=_get_token, invalidate=_invalidate))
        with patch("worker.sending.reactions.Backoff", partial(Backoff, random.Random(0), self.loop.time)):
            reactions = Reactions(self.services)
        look_ups = LookUps(self.services, reactions)
        leases = Leases(self.services.ledger)
        self.stack.push_async_callback(leases.close)
        self.runner = ChunkRunner(self.services, leases, reactions, look_ups, lambda: False)
        self.settler = Settler(self.services, leases, look_ups)
        self.tell_time()

    def add_key(self) -> None:
        """Make a key and put it before all others."""
        name = f"key{len(self.key_files)}"
        (self.folder / name).write_text(new_key_text())
        self.key_files.insert(0, f'"file:{self.folder / name}"')
        tables = [
            f'[connections.{name}]\ntenant_id = "{_TENANT}"\nclient_id = "{_TENANT}"\nclient_secret = "env:NONE"\n'
            for name in CONNECTIONS
        ]
        (self.folder / "usher.toml").write_text(
            f'[redis]\nurl = "{self.url}"\n[ledger]\nprefix = "{self.desk.keys.prefix}"\nsettle_s = {SETTLE_S}\n'
            f"lease_s = {LEASE_S}\nkey = [{', '.join(self.key_files)}]\naudit_keep = 0\n[graph]\ntimeout_s = 2\n"
            '[quota]\ninvitations_per_tenant = "100000/1s"\n' + "".join(tables)
        )
        self.settings = load_settings({"USHER_CONFIG": str(self.folder / "usher.toml")})

    def tell_time(self) -> None:
        """Let the worker and the tenant know what time it is in Redis."""
        client: Any = self.desk.client
        self.clock_ms = int(self.do(client.get(f"{self.desk.keys.prefix}:clock")) or 0)
        self.services.clocks.learn_redis(EPOCH_MS + self.clock_ms)

    def mail(self, address: str, job: str, present: bool) -> None:
        """Graph mails somebody: only who is not in the tenant, or whom a job was asked to mail
        again, and has not yet.
        """
        again = job in self.resends and not self.mailed_by[address, job]
        if present and not again:
            self.wrong.append(f"{address} was mailed again, by {job}")
        self.mailed_by[address, job] += 1

    # Workers

    async def quiet(self) -> None:
        """Return when every task has ended or waits for Graph."""
        while busy := self.tasks - self.dead - {call.worker for call in self.tenant.wire}:
            for task in [task for task in busy if task.done()]:
                self.tasks.discard(task)
                task.result()
            self.tenant.changed.clear()
            changed = asyncio.ensure_future(self.tenant.changed.wait())
            busy &= self.tasks
            if busy:
                await asyncio.wait({*busy, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def claim(self, ticket: Ticket) -> None:
        """A message arrives."""

        async def start() -> None:
            runs = self.settler if ticket.lane is Lane.DOUBT else self.runner
            self.tasks.add(start_worker(runs.run(ticket)))
            await self.quiet()

        self.do(start())

    def finish_call(self, call: Call, fates: list[Answered], lag_ms: int = 0) -> None:
        """Answer a call, and let its worker go on."""

        async def answer() -> None:
            self.tenant.answer(call, fates, lag_ms=lag_ms)
            await self.quiet()

        self.do(answer())
        assert not self.wrong, self.wrong

    def answer(self, data: st.DataObject) -> None:
        """A request arrives, and its answer comes back, or is lost."""
        call = data.draw(st.sampled_from(self.tenant.wire))
        if call.reads:
            fate = data.draw(st.sampled_from((Answered.WELL,) * 4 + READS))
            fates = [fate] * len(call.requests)
        else:
            fates = [data.draw(st.sampled_from((Answered.WELL, Answered.WELL, *INVITES))) for _ in call.requests]
        self.finish_call(call, fates, data.draw(st.sampled_from((0, LAG_MS))))

    def lose_lease(self, data: st.DataObject) -> None:
        """A worker dies with a request on the wire, which is carried out or not; or it is not heard
        of for too long, and goes on.
        """
        call = data.draw(st.sampled_from(self.tenant.wire))
        lives = data.draw(st.booleans())
        client: Any = self.desk.client
        tickets = self.do(client.zrange(self.desk.keys.leases(), 0, -1))
        if tickets:
            self.do(client.zadd(self.desk.keys.leases(), {data.draw(st.sampled_from(sorted(tickets))): 1}, xx=True))
        if lives:
            return
        self.dead.add(call.worker)
        fate = data.draw(st.sampled_from((Answered.LOST_BEFORE, Answered.LOST_AFTER)))
        for lost in [one for one in self.tenant.wire if one.worker is call.worker]:
            lost.answers = asyncio.Future(loop=self.loop)  # nobody hears
            self.finish_call(lost, [fate] * len(lost.requests), data.draw(st.sampled_from((0, LAG_MS))))

    # People, and time

    @initialize(data=st.data())
    def begin_with_a_job(self, data: st.DataObject) -> None:
        """There is something to do."""
        self.load(data)

    def load(self, data: st.DataObject) -> None:
        """Somebody submits some of the people, perhaps to mail them again on purpose."""
        people = data.draw(st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True))
        self.submit(
            people, data.draw(st.sampled_from(CONNECTIONS)), resend=data.draw(st.sampled_from((False, False, True)))
        )

    def submit(self, people: list[str], connection: str, *, resend: bool = False) -> str:
        """Submit these."""

        async def load() -> str:
            self.desk.made += 1
            await self.desk.trust(connection)
            job = f"j{self.desk.made}"
            loading = await self.desk.jobs.create(job, connection, Lane.BULK, options=Options(resend=resend))
            assert loading is not None
            for address in people:
                loading.put({"email": address, "display_name": job})
            await self.desk.jobs.start(loading)
            return job

        job: str = self.do(load())
        self.jobs[job], self.people_of[job] = connection, people
        if resend:
            self.resends.add(job)
        return job

    def delete(self, data: st.DataObject) -> None:
        """Somebody deletes a job, most often one with rows on the wire, and submits its list
        again.
        """
        names = {
            request.body["invitedUserDisplayName"]
            for call in self.tenant.wire
            for request in call.requests
            if request.body
        }
        job = data.draw(st.sampled_from(sorted(names & self.jobs.keys()) or sorted(self.jobs)))
        self.do(self.desk.jobs.delete(job))
        self.deleted.add(job)
        self.submit(self.people_of[job], self.jobs.pop(job))

    def forget(self, data: st.DataObject) -> None:
        """An administrator deletes a guest from the tenant."""
        address = data.draw(st.sampled_from(sorted(self.tenant.guests)))
        del self.tenant.guests[address]
        for place in [place for place in self.mailed_by if place[0] == address]:
            del self.mailed_by[place]

    def roll_key(self, data: st.DataObject) -> None:
        """The ledger's key is rolled over; a worker looks at it now, or when it needs it."""
        self.add_key()
        if data.draw(st.booleans()):
            self.do(self.services.key_hold.look())

    def let_pass(self, ms: int) -> None:
        """Time passes."""
        client: Any = self.desk.client
        self.do(client.incrby(f"{self.desk.keys.prefix}:clock", ms))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One thing happens."""
        self.tell_time()
        possible = ["move"] * 2 + ["gate"] if self.jobs else []
        possible += ["delete"] * 3 if self.tenant.wire and self.jobs else []
        possible += ["load"] * 3 if len(self.jobs) < 5 else []
        possible += ["tick"] * 6 + ["pass_time"] * 2 + ["roll_key"]
        possible += ["deliver"] if self.tickets else []
        possible += ["answer"] * 8 + ["lose_lease"] * 2 if self.tenant.wire else []
        possible += ["forget"] if self.tenant.guests else []
        getattr(self, data.draw(st.sampled_from(possible)))(data)
        self.tell_time()

    def pass_time(self, data: st.DataObject) -> None:
        """A while, or long enough for rows in doubt and for most waits."""
        self.let_pass(data.draw(st.sampled_from((1_000, 6_000, 130_000))))

    # The end

    def _answer_all(self) -> None:
        while self.tenant.wire:
            call = self.tenant.wire[0]
            self.finish_call(call, [Answered.WELL] * len(call.requests))

    def _run_to_the_end(self) -> None:
        desk, keys = self.desk, self.desk.keys
        for _ in range(100):
            self.let_pass(130_000)
            self.tell_time()
            for connection in CONNECTIONS:
                self.do(desk.gates.reopen(connection))
            states = {job: self.do(desk.jobs.view(job)) for job in self.jobs}
            for job, view in states.items():
                if view.state is JobState.PAUSED:
                    self.do(desk.jobs.resume(job))
            if all(view.ended for view in states.values()):
                return
            for zset in (keys.offers(), keys.due(), keys.due_now(), keys.due_doubts()):
                self.do(desk.make_past(zset))
            for ticket in self.do(desk.tick("w1", 16)):
                self.claim(ticket)
                self._answer_all()
        raise AssertionError(f"jobs that never end: {[job for job, view in states.items() if not view.ended]}")

    def teardown(self) -> None:
        """Once nothing goes wrong any more every job ends, told as it was, and whoever is asked for
        is a guest.
        """
        try:
            self._answer_all()
            self.do(self.desk.make_past(self.desk.keys.leases()))
            self._run_to_the_end()
            self._check_what_is_told()
            self.let_pass(130_000)
            self.submit(PEOPLE, CONNECTIONS[0])
            self._run_to_the_end()
            assert self.tenant.guests.keys() == set(PEOPLE), "somebody was lost"
        finally:
            self.do(self._bury())
            self.end()

    async def _bury(self) -> None:
        for task in (left := self.tasks | self.dead):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _check_what_is_told(self) -> None:
        for job in self.jobs:
            letters = "".join(self.do(self._letters(job)))
            assert job not in self.resends or RowState.ALREADY not in letters, (
                "somebody was to be mailed again, and nobody can tell whether they were"
            )

    async def _letters(self, job: str) -> list[str]:
        view = await self.desk.jobs.view(job)
        assert view is not None
        return [await self.desk.letters(job, number) for number in range(view.chunks)]


async def _get_token(connection: object, *, fresh: bool = False) -> Any:
    return make_token("t", issued_s=EPOCH_MS / 1000, life_s=3600, fingerprint="f")


async def _invalidate(connection: object, token: object) -> None:
    """Nothing to forget."""


@pytest.mark.timeout(900)
def test_no_order_of_events_mails_twice_misreports_or_loses_a_guest(valkey_url: str) -> None:
    """Nobody who is in the tenant is mailed, unless on purpose and once; a row says what happened;
    who was deleted can come back.
    """
    GuestsMachine.url = valkey_url
    run_state_machine_as_test(
        GuestsMachine,
        settings=settings(
            max_examples=50,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # a shorter example would take minutes to find
            derandomize=True,
        ),
    )
