"""Rows in doubt, from the ledger to their outcome: what the directory says is judged by the attempt
that may have brought it about.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.connections import Connection
from config.reader import parse_connection
from config.settings import Settings
from tests.ledgers import Desk
from worker.clocks import Clocks
from worker.directory.lookups import Delay, Found, LookUps, WhyNot
from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.graph.causes import Verdict
from worker.graph.exchange import Exchange
from worker.graph.latency import Latencies
from worker.graph.limit_header import Begun
from worker.graph.retry import UNSENT_ONLY, WHERE_BLIND, RetryRule
from worker.graph.users import DirectoryUser
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.meters import Meters
from worker.ledger.model import Grant, Lane, Lease, Options, RowState
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import Channel
from worker.operations.registry import OPERATIONS
from worker.sending.chunk_run import ChunkRun
from worker.sending.leases import Leases
from worker.sending.reactions import Reactions
from worker.sending.refused_wholes import RefusedWholes
from worker.sending.settler import Settler
from worker.services import Services
from worker.store.client import read_time_ms
from worker.store.keyring import no_sealer

_TABLE = {"tenant_id": "1" * 8 + "-1111-1111-1111-" + "1" * 12, "client_id": "a", "client_secret": "env:NONE"}
CONTOSO = parse_connection("contoso", _TABLE)
UNCHECKED = parse_connection("contoso", {**_TABLE, "precheck": False})


@dataclass
class Directory:
    """Stands for the look-ups: who is there, since when (on the ledger's clock, ms)."""

    users: dict[str, int] = field(default_factory=dict)
    readable: bool = True
    members: bool = False  # whether those who are there are members of the tenant
    enabled: bool = True
    delay: Delay | None = None  # nobody can tell for now

    def may_read(self, connection: object, token: object) -> bool:
        """Whether rows can be looked up."""
        return self.readable

    async def find(
        self, connection: object, addresses: Sequence[str], lane: Lane = Lane.BULK, *more: object, **options: object
    ) -> Found:
        """Return those asked for that are there."""
        if self.delay:
            return Found(why_not=WhyNot.LATER, delay=self.delay)
        return Found(
            {
                a: DirectoryUser(
                    f"id-{a}", datetime.fromtimestamp(self.users[a] / 1000, UTC), self.members, self.enabled
                )
                for a in addresses
                if a in self.users
            }
        )


@dataclass
class Site:
    """A ledger, a directory, and a worker's parts that look."""

    desk: Desk
    directory: Directory
    services: Services
    settler: Settler

    async def settle(self) -> None:
        """Look up what is in doubt, due or not."""
        await self.desk.settle_now()
        for ticket in await self.desk.tick():
            if ticket.lane is Lane.DOUBT:
                await self.settler.run(ticket)
            else:
                lease = await self.desk.ledger.claim(ticket)
                assert lease
                await self.desk.ledger.release(lease)

    async def age_doubts(self, job: str, by_ms: int) -> int:
        """Let the attempts of all rows in doubt lie further back. Returns the oldest one's time."""
        key, client = self.desk.keys.chunk(job, 0), self.desk.ledger.client
        fields: Mapping[bytes, bytes] = await client.hgetall(key)
        times = {name: int(at) - by_ms for name, at in fields.items() if name[:1] == b"d"}
        await client.hset(key, mapping=times)
        return min(times.values())


@pytest.fixture
async def site(desk: Desk) -> Site:
    """Everything but Graph itself."""
    directory, clocks = Directory(), Clocks()
    clocks.learn_redis(await read_time_ms(desk.client))
    services = cast(Services, _Services(desk, clocks))
    return Site(desk, directory, services, Settler(services, Leases(desk.ledger), cast(LookUps, directory)))


class _Services:
    """As much of the services as settling and looking up use."""

    def __init__(self, desk: Desk, clocks: Clocks) -> None:
        self.latencies = Latencies()
        self.is_of_tenant = lambda tenant_key, connection: True
        self.ledger, self.clocks, self.index = desk.ledger, clocks, GuestIndex(desk.client, desk.keys, no_sealer)

        self.begun, self.graph, self.meters = Begun(), self, Meters()
        self.rules, self.may_leave = list[Any](), list[bool]()

    async def send_one(self, connection: object, token: object, request: GraphRequest, **told: Any) -> Exchange:
        """Graph: 503, with a time to come back."""
        self.rules.append(told["retry"])
        self.may_leave.append(told["before_send"]())
        body = {"error": {"code": "serviceNotAvailable", "message": "Later."}}
        answer = GraphAnswer(Fate.ANSWERED, 503, {"retry-after": "7"}, body, "")
        return Exchange({request.id: answer}, "id", None, 0.1, 503)

    async def take_token(self, connection: object) -> Any:
        """A token."""
        return SimpleNamespace(secret="t", fingerprint="f", roles=None)

    async def cannot_look(self, channel: object, found: Found) -> Stop:
        """Reactions: how long to wait for the directory."""
        assert found.delay
        return Stop(found.delay.stop.why, 3.0)

    async def looked(self, connection: object) -> None:
        """Reactions: all rows could be looked up."""

    async def away(self, connection: object, verdict: Verdict) -> Stop:
        """Reactions: how long to stay away."""
        assert verdict.retry_after_s
        return Stop(Rest.AWAY, verdict.retry_after_s)

    async def resolved(self, name: str) -> Any:
        return CONTOSO

    def settings(self) -> Settings:
        return Settings()


def _chunk_run(site: Site, lease: Lease, connection: Connection = CONTOSO) -> ChunkRun:
    return ChunkRun(
        site.services,
        lease,
        Channel(connection, OPERATIONS["invite"]),
        reactions=cast(Reactions, site.services),
        look_ups=cast(LookUps, site.directory),
        refused=RefusedWholes(),
        tally=Counter(),
    )


async def _in_doubt(site: Site, options: Options | None = None) -> str:
    """Send a row whose answer is lost."""
    job = await site.desk.load(1, options=options)
    lease = await site.desk.lease()
    await site.desk.record(lease, await site.desk.begin(lease), RowState.IN_DOUBT)
    await site.desk.ledger.release(lease)
    return job


async def _sent_again(site: Site) -> tuple[str, int]:
    """A row in doubt, long not there, is to be sent again. Returns the job, and when it was first
    sent.
    """
    job = await _in_doubt(site)
    first_ms = await site.age_doubts(job, 100_000)
    await site.settle()
    assert await site.desk.letters(job) == "."
    return job, first_ms


async def _status(site: Site, job: str) -> tuple[str, str]:
    (record,) = [record async for record in site.desk.jobs.rows.results(job)]
    return record["status"], record["mail"]


async def test_a_late_first_attempt_found_after_the_second_is_an_invitation(site: Site) -> None:
    """The first attempt is carried out after everybody gave it up; the second one's answer is lost
    too: invited, not a guest before.
    """
    job, first_ms = await _sent_again(site)
    lease = await site.desk.lease()
    await site.desk.record(lease, await site.desk.begin(lease), RowState.IN_DOUBT)
    site.directory.users[f"{job}-1@example.com"] = first_ms + 50_000
    await site.settle()
    assert await _status(site, job) == ("invited", "requested")


async def test_who_was_there_before_the_first_attempt_stays_a_guest(site: Site) -> None:
    """However often it was sent."""
    job, first_ms = await _sent_again(site)
    lease = await site.desk.lease()
    await site.desk.record(lease, await site.desk.begin(lease), RowState.IN_DOUBT)
    site.directory.users[f"{job}-1@example.com"] = first_ms - 5_000
    await site.settle()
    assert (await _status(site, job))[0] == "already_guest"


@pytest.mark.parametrize(("after_ms", "status"), [(-5_000, "in_doubt"), (1_000, "invited")])
async def test_a_resent_row_is_settled_only_by_a_guest_whom_it_made(site: Site, after_ms: int, status: str) -> None:
    """Who was there before may have been mailed again or not: the directory does not show it, so a
    person is told.
    """
    job = await _in_doubt(site, Options(resend=True))
    site.directory.users[f"{job}-1@example.com"] = await site.age_doubts(job, 100_000) + after_ms
    await site.settle()
    assert (await _status(site, job))[0] == status


async def test_a_resent_row_stays_in_doubt_while_its_answer_may_still_come(site: Site) -> None:
    """A moment after the attempt the guest is there, as before; nothing is decided by that."""
    job = await _in_doubt(site, Options(resend=True))
    site.directory.users[f"{job}-1@example.com"] = await site.age_doubts(job, 0) - 5_000
    await site.settle()
    assert await site.desk.letters(job) == "d"


@pytest.mark.parametrize(("after_ms", "status"), [(50_000, "invited"), (-5_000, "already_guest")])
async def test_the_look_up_before_a_second_send_knows_of_the_first(site: Site, after_ms: int, status: str) -> None:
    """Found before it is sent again: created after the first attempt it is our doing. Nothing of it
    stays in the ledger.
    """
    job, first_ms = await _sent_again(site)
    site.directory.users[f"{job}-1@example.com"] = first_ms + after_ms
    lease = await site.desk.lease()
    await _chunk_run(site, lease).work(lambda: True)
    assert (await _status(site, job))[0] == status
    fields = await site.desk.ledger.client.hkeys(site.desk.keys.chunk(job, 0))
    assert not [name for name in fields if name[:1] == b"f"]


@pytest.mark.parametrize("looks", ["settler", "second send", "first send"])
@pytest.mark.parametrize(
    ("members", "enabled", "code"), [(True, True, "own_member"), (False, False, "account_disabled")]
)
async def test_a_member_or_a_disabled_guest_is_judged_alike_whenever_met(
    site: Site, looks: str, members: bool, enabled: bool, code: str
) -> None:
    """In doubt, before a second send or before the first one: the row fails, and an administrator
    is told why.
    """
    site.directory.members, site.directory.enabled = members, enabled
    if looks == "first send":
        job, first_ms = await site.desk.load(1), site.services.clocks.redis_ms()
    else:
        job, first_ms = await _sent_again(site)
    if looks == "settler":
        lease = await site.desk.lease()
        await site.desk.record(lease, await site.desk.begin(lease), RowState.IN_DOUBT)
    site.directory.users[f"{job}-1@example.com"] = first_ms - 5_000
    if looks == "settler":
        await site.settle()
    else:
        await _chunk_run(site, await site.desk.lease()).work(lambda: True)
    (record,) = [record async for record in site.desk.jobs.rows.results(job)]
    assert (record["status"], record["error_code"]) == ("failed", code)
    was_sent = looks != "first send"
    assert record["error_message"].startswith("Not sent: ") is not was_sent
    assert ("answer was lost" in record["error_message"]) is was_sent


async def _put_clock_forward(site: Site, job: str) -> None:
    """Redis's clock is an hour ahead all at once, so all that was written before looks an hour
    old.
    """
    await site.age_doubts(job, 3_600_000)
    now_ms = await read_time_ms(site.desk.client)
    site.services.clocks = Clocks()
    site.services.clocks.learn_redis(now_ms - 3_600_000)
    site.services.clocks.learn_redis(now_ms)


async def test_a_clock_put_forward_settles_nothing_early(site: Site) -> None:
    """A row sent a moment ago is not there yet: that proves nothing, whatever Redis's clock
    says.
    """
    job = await _in_doubt(site)
    await _put_clock_forward(site, job)
    await site.settle()
    assert await site.desk.letters(job) == "d"


async def test_a_clock_put_forward_makes_no_old_guest_ours(site: Site) -> None:
    """Created ten minutes ago, long before the attempt, which only looks older than that."""
    job = await _in_doubt(site)
    await _put_clock_forward(site, job)
    site.directory.users[f"{job}-1@example.com"] = site.services.clocks.redis_ms() - 600_000
    await site.settle()
    assert (await _status(site, job))[0] == "already_guest"


@pytest.mark.parametrize(("suspect", "asked"), [(True, 0), (False, 1)])
async def test_after_a_failover_nobody_is_sent_unlooked_though_precheck_is_off(
    site: Site, suspect: bool, asked: int
) -> None:
    """Only the look-up stands between a guest whose mark was lost and a second mail: while it
    cannot be made the chunk waits.
    """
    site.directory.delay = Delay(Stop(Rest.LOOK_UP))
    job = await site.desk.load(1)
    lease = await site.desk.lease()
    lease.suspect = suspect
    stop = await _chunk_run(site, lease, UNCHECKED).work(lambda: True)
    assert len(cast(Any, site.services).rules) == asked
    if suspect:
        assert (stop, await site.desk.letters(job)) == (Stop(Rest.LOOK_UP, 3.0), ".")


@pytest.mark.parametrize(("readable", "letter", "rule"), [(True, "d", UNSENT_ONLY), (False, ".", WHERE_BLIND)])
async def test_a_503_is_looked_up_first_wherever_that_is_possible(
    site: Site, readable: bool, letter: str, rule: RetryRule
) -> None:
    """With Retry-After, and where nobody may look, it is taken at its word and the row is simply
    sent again.
    """
    job = await site.desk.load(1)
    site.directory.readable = readable
    assert await _chunk_run(site, await site.desk.lease()).work(lambda: True) == Stop(Rest.AWAY, 7)
    assert await site.desk.letters(job) == letter
    assert cast(Any, site.services).rules == [rule]


async def test_the_age_of_a_mark_counts_from_before_it_was_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that answers late has marked the rows long ago: they do not leave."""
    monkeypatch.setattr("worker.sending.couriers.MARK_MAX_AGE_S", 0.05)
    begin = site.desk.ledger.begin_batch

    async def slowly(*args: Any, **told: Any) -> Grant:
        grant = await begin(*args, **told)
        await asyncio.sleep(0.1)
        return grant

    monkeypatch.setattr(site.desk.ledger, "begin_batch", slowly)
    await site.desk.load(1)
    await _chunk_run(site, await site.desk.lease()).work(lambda: True)
    assert cast(Any, site.services).may_leave == [False]
