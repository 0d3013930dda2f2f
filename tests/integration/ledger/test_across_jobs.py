"""One guest, several jobs: whoever sends first has the claim, and who was invited lately is not
mailed again.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.ledgers import Desk
from worker.ledger.guests.guest_index import HASH_BYTES, GuestIndex, hash_guest
from worker.ledger.model import Grant, IndexPlace, KnownRow, Lease, Outcome, RowState
from worker.store.client import read_time_ms
from worker.store.keyring import no_sealer

DAY_MS = 86_400_000


async def leased(desk: Desk, job: str) -> Lease:
    """Load a job of one row and lease its chunk."""
    await desk.load(1, job=job)
    lease = await desk.lease(seats=32)
    assert lease.ticket.job == job
    return lease


async def place_of(desk: Desk, email: str = "ada@partner.example") -> IndexPlace:
    """Where row 0 stands when its guest is this one."""
    return await GuestIndex(desk.client, desk.keys, no_sealer).place("tenant", {0: email})


async def begin(desk: Desk, lease: Lease, place: IndexPlace, *, resend: bool = False) -> Grant:
    """Begin row 0 with its claim."""
    return await desk.ledger.begin_batch(
        lease, [0], desk.buckets, tenant_key="t", client_key="c", index=place, resent=[0] if resend else []
    )


async def record(desk: Desk, lease: Lease, grant: Grant, letter: RowState, place: IndexPlace) -> None:
    """Record row 0."""
    t = lease.ticket
    await desk.ledger.record_batch(
        t.job, t.chunk, t.connection, t.lane, grant.batch, [Outcome(0, letter, attempts=1)], place
    )


async def test_of_two_jobs_the_first_to_send_has_the_guest(desk: Desk) -> None:
    """A row that meets another row's open claim does not leave; once that one is invited, it is
    known.
    """
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    sent = await begin(desk, first, place)
    assert len(sent.rows) == 1
    met = await begin(desk, second, place)
    assert (met.rows, met.blocked, met.known, met.why) == ((), (0,), (), None)
    await record(desk, first, sent, RowState.DONE, place)
    known = await begin(desk, second, place)
    assert known.rows == ()
    assert [(row.index, row.job) for row in known.known] == [(0, "first")]


async def test_some_rows_of_a_batch_are_mailed_on_purpose(desk: Desk) -> None:
    """Of guests who were all invited lately, those go out again, and the others end."""
    emails = {0: "ada@partner.example", 1: "bob@partner.example"}
    place = await GuestIndex(desk.client, desk.keys, no_sealer).place("tenant", emails)
    limits: dict[str, Any] = {"tenant_key": "t", "client_key": "c", "index": place}
    for job, resent in (("first", []), ("second", [1])):
        await desk.load(2, job=job)
        lease = await desk.lease(seats=32)
        grant = await desk.ledger.begin_batch(lease, [0, 1], desk.buckets, **limits, resent=resent)
        outcomes = [Outcome(row.index, RowState.DONE, attempts=1) for row in grant.rows]
        await desk.ledger.record_batch(job, 0, "contoso", lease.ticket.lane, grant.batch, outcomes, place)
    assert [row.index for row in grant.rows] == [1]
    assert [row.index for row in grant.known] == [0]


async def test_who_waited_for_another_jobs_row_is_looked_up_anew(desk: Desk) -> None:
    """What became of that row may leave no memory (mailed again on purpose, its answer lost): a
    look-up of before says nothing then.
    """
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    sent = await begin(desk, first, place)
    second.checked_in = desk.ledger.heartbeat.epoch  # looked up just now
    assert (await begin(desk, second, place)).blocked == (0,)
    await record(desk, first, sent, RowState.LEFT_IN_DOUBT, place)
    await desk.ledger.release(second)
    assert (await desk.lease()).checked_at_ms == 0


async def test_a_claim_in_doubt_is_still_open(desk: Desk) -> None:
    """As long as nobody knows whether the first was invited, the second waits."""
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    await record(desk, first, await begin(desk, first, place), RowState.IN_DOUBT, place)
    assert (await begin(desk, second, place)).blocked == (0,)


@pytest.mark.parametrize("letter", [RowState.FAILED, RowState.PENDING])
async def test_a_refused_guest_is_free_again(desk: Desk, letter: RowState) -> None:
    """A row that failed, or goes back, gives its claim up."""
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    await record(desk, first, await begin(desk, first, place), letter, place)
    assert len((await begin(desk, second, place)).rows) == 1


async def test_a_deleted_jobs_row_on_the_wire_keeps_its_claim(desk: Desk) -> None:
    """Its answer is still to come: the next job's row waits for it, `--resend` or not, whatever the
    directory shows meanwhile.
    """
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    await begin(desk, first, place)
    await desk.jobs.delete("first")
    assert (await begin(desk, second, place)).blocked == (0,)
    assert (await begin(desk, second, place, resend=True)).blocked == (0,)
    assert await desk.letters("second") == "."


async def test_a_deleted_jobs_answer_is_remembered(desk: Desk) -> None:
    """It comes after the job is gone: the guest is known to the next job, and nothing else of it is
    kept.
    """
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    sent = await begin(desk, first, place)
    await desk.jobs.delete("first")
    await record(desk, first, sent, RowState.DONE, place)
    assert [(row.index, row.job) for row in (await begin(desk, second, place)).known] == [(0, "first")]
    assert await claims(desk, place) == []
    assert not [name for name in await desk.names() if "first" in name.split(":")]


@pytest.mark.parametrize("letter", [RowState.FAILED, RowState.PENDING, RowState.ALREADY])
async def test_a_deleted_jobs_refused_guest_is_free_again(desk: Desk, letter: RowState) -> None:
    """The answer says that nobody was mailed, so the next job's row leaves at once."""
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    sent = await begin(desk, first, place)
    await desk.jobs.delete("first")
    await record(desk, first, sent, letter, place)
    assert len((await begin(desk, second, place)).rows) == 1


@pytest.mark.parametrize("doubtful", [False, True], ids=["on the wire", "in doubt"])
async def test_a_deleted_jobs_doubt_passes_to_the_next_row(desk: Desk, doubtful: bool) -> None:
    """No answer came in time, and nobody looks up rows of a deleted job: the next row for this
    guest is in doubt in its place.
    """
    place = await place_of(desk)
    first, second, third = [await leased(desk, job) for job in ("first", "second", "third")]
    sent = await begin(desk, first, place)
    if doubtful:
        await record(desk, first, sent, RowState.IN_DOUBT, place)
    await desk.jobs.delete("first")
    at_ms = await age_claim(desk, place, by_ms=61_000)
    assert (await begin(desk, second, place)).blocked == (0,)
    assert await desk.letters("second") == "d"
    await desk.settle_now()
    (doubt,) = await desk.doubts("contoso", 10)
    assert (doubt.job, doubt.index, doubt.attempted_at_ms) == ("second", 0, at_ms)
    chunk = await desk.ledger.doubts.rows_of("second", 0)
    assert chunk is not None
    assert chunk.attempts == "0"  # itself it was never sent
    assert (await begin(desk, third, place)).blocked == (0,)


async def test_resend_does_not_take_over_a_deleted_jobs_doubt(desk: Desk) -> None:
    """It was asked to mail the guest again, whatever became of the mail before."""
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    await begin(desk, first, place)
    await desk.jobs.delete("first")
    await age_claim(desk, place, by_ms=61_000)
    assert len((await begin(desk, second, place, resend=True)).rows) == 1


async def test_a_job_made_anew_under_its_id_does_not_own_the_old_ones_claims(desk: Desk) -> None:
    """A producer's key names the same job again after it was deleted: its row waits for the answer
    like anybody's.
    """
    place = await place_of(desk)
    await begin(desk, await leased(desk, "first"), place)
    await desk.jobs.delete("first")
    await age_claim(desk, place, by_ms=1_000)
    again = await leased(desk, "first")
    assert (await begin(desk, again, place)).blocked == (0,)


async def claims(desk: Desk, place: IndexPlace) -> list[str]:
    """Return the claims of the tenant."""
    found: dict[bytes, bytes] = await desk.ledger.client.hgetall(f"{place.base}:claims:all")
    return [claim.decode() for name, claim in found.items() if name]


async def age_claim(desk: Desk, place: IndexPlace, *, by_ms: int) -> int:
    """Let the tenant's only claim have been made so long before. Returns when that was."""
    (claim,) = await claims(desk, place)
    start, _, at = claim.rpartition(":")
    await desk.ledger.client.hset(f"{place.base}:claims:all", place.hashes[0], f"{start}:{int(at) - by_ms}")
    return int(at) - by_ms


async def test_resend_mails_again_but_not_at_the_same_time(desk: Desk) -> None:
    """Asked to, a guest is invited again; but never while another row of theirs is on the wire."""
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    sent = await begin(desk, first, place)
    assert (await begin(desk, second, place, resend=True)).blocked == (0,)
    await record(desk, first, sent, RowState.DONE, place)
    assert len((await begin(desk, second, place, resend=True)).rows) == 1


async def test_tokens_are_taken_only_for_rows_that_leave(desk: Desk) -> None:
    """A known guest costs no quota."""
    place = await place_of(desk)
    first, second = await leased(desk, "first"), await leased(desk, "second")
    await record(desk, first, await begin(desk, first, place), RowState.DONE, place)
    bucket = desk.keys.bucket(desk.buckets[0].scope)
    before = await desk.field(bucket, "l")
    await begin(desk, second, place)
    assert await desk.field(bucket, "l") == before


async def write_entry(desk: Desk, place: IndexPlace, *, age_ms: int) -> int:
    """Let row 0's guest have been invited so long ago, by job "older". Returns when, in seconds."""
    at_s = (await read_time_ms(desk.client) - age_ms) // 1000
    generation = f"{place.base}:{at_s * 1000 // (30 * DAY_MS)}:"
    await desk.client.set(f"{generation}all", 1)
    client: Any = desk.client
    await client.hset(
        f"{generation}{_bucket(place.hashes[0])}", place.hashes[0][2:], at_s.to_bytes(4, "big") + b"older"
    )
    return at_s


@pytest.mark.parametrize("days", [0, 29, 31, 59])
async def test_a_guest_is_known_for_the_days_that_are_set(desk: Desk, days: int) -> None:
    """In whichever generation the entry lies; being asked for changes nothing of it."""
    place = await place_of(desk)
    at_s = await write_entry(desk, place, age_ms=days * DAY_MS)
    before = await desk.names()
    for _ in range(2):
        assert await desk.ledger.find_invited(place, [0]) == (KnownRow(0, at_s, "older"),)
    grant = await begin(desk, await leased(desk, "second"), place)
    assert grant.known == (KnownRow(0, at_s, "older"),)
    assert {name for name in await desk.names() if name.startswith("index:")} == {
        name for name in before if name.startswith("index:")
    }


async def test_a_guest_is_not_known_any_longer(desk: Desk) -> None:
    """Nor is one asked for when the memory was set to less."""
    place = await place_of(desk)
    await write_entry(desk, place, age_ms=60 * DAY_MS + 1000)
    assert await desk.ledger.find_invited(place, [0]) == ()
    await write_entry(desk, place, age_ms=3 * DAY_MS)
    desk.ledger.remember_s = 2 * DAY_MS / 1000
    assert await desk.ledger.find_invited(place, [0]) == ()
    assert len((await begin(desk, await leased(desk, "second"), place)).rows) == 1


@pytest.mark.parametrize("days", [1, 60, 400])
async def test_what_is_remembered_is_kept_as_long(desk: Desk, days: int) -> None:
    """The keys of an entry outlive it by less than two months, whatever the memory's length."""
    desk.ledger.remember_s = days * DAY_MS / 1000
    place = await place_of(desk)
    first = await leased(desk, "first")
    await record(desk, first, await begin(desk, first, place), RowState.DONE, place)
    entries = [name async for name in desk.client.scan_iter(match=f"{place.base}:[0-9]*")]
    assert len(entries) == 2
    for name in entries:
        assert days * DAY_MS < await desk.client.pttl(name) <= (days + 31) * DAY_MS


async def test_a_newer_invitation_is_not_overruled(desk: Desk) -> None:
    """Who was absent when looked up was perhaps invited since, by another job."""
    place = await place_of(desk)
    at_s = await write_entry(desk, place, age_ms=2 * DAY_MS)
    await desk.ledger.overrule(place, [KnownRow(0, at_s - 1, "older")])
    assert len(await desk.ledger.find_invited(place, [0])) == 1
    await desk.ledger.overrule(place, [KnownRow(0, at_s, "older")])
    assert await desk.ledger.find_invited(place, [0]) == ()


async def test_the_index_takes_at_most_64_bytes_a_guest(desk: Desk) -> None:
    """At 100,000 guests of one tenant, by the server's own count; and it holds no address."""
    guests, key = 100_000, secrets.token_bytes(32)
    info = await desk.client.info("memory")
    before = info["used_memory"]
    for start in range(0, guests, 1000):
        hashes = [hash_guest(key, "tenant", f"guest{n}@partner.example") for n in range(start, start + 1000)]
        async with desk.client.pipeline(transaction=False) as pipe:
            for digest in hashes:
                pipe.hset(
                    f"{desk.keys.index('tenant')}:700:{_bucket(digest)}", digest[2:], b"\x69\x2a\x00\x00k7m2p9xq4d"
                )
            await pipe.execute()
    info = await desk.client.info("memory")
    assert (info["used_memory"] - before) / guests <= 64
    await desk.client.unlink(
        *[raw async for raw in desk.client.scan_iter(match=f"{desk.keys.index('tenant')}:*", count=1000)]
    )


def _bucket(digest: bytes) -> int:
    assert len(digest) == HASH_BYTES
    return digest[0] * 16 + digest[1] // 16


async def test_an_offered_chunk_that_has_ended_meanwhile_is_not_claimed(desk: Desk) -> None:
    """A late answer ends its last row, and it is folded: there is nothing to run, and nothing to
    read.
    """
    job = await desk.load(101)
    ticket, *_ = await desk.tick()
    outcomes = [Outcome(row, RowState.DONE) for row in range(100)]
    await desk.ledger.record_batch(job, 0, "contoso", ticket.lane, 1, outcomes)
    assert await desk.ledger.fold(job, 0)
    assert await desk.ledger.claim(ticket) is None
