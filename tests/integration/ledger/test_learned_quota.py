"""What 429s and Graph's headers teach of limits that somebody else takes from. The real scripts,
and a Graph that is a number.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from config.reader import parse_connection
from config.settings import Settings
from tests.ledgers import Desk, open_desk
from worker.ledger.model import Grant, Lane, Lease
from worker.ledger.quota import Bucket, invitation_buckets
from worker.store.client import read_time_ms

SLOW = Bucket("slow", 100, 1_000_000)
"""A token in ten seconds: nothing fills up while a test runs."""


@pytest.fixture
async def desk(valkey_url: str) -> AsyncIterator[Desk]:
    """A ledger."""
    async with open_desk(valkey_url) as desk:
        desk.buckets = [SLOW]
        yield desk


async def _lease(desk: Desk, rows: int = 100, lane: Lane = Lane.BULK) -> Lease:
    await desk.load(rows, lane=lane)
    return await desk.lease()


async def _number(desk: Desk, name: str, bucket: Bucket = SLOW) -> float:
    return float(await desk.field(desk.keys.bucket(bucket.scope), name) or "nan")


async def _set(desk: Desk, bucket: Bucket = SLOW, **fields: Any) -> None:
    await desk.ledger.client.hset(desk.keys.bucket(bucket.scope), mapping=fields)


async def _throttled(desk: Desk, wait_s: float = 0, **more: Any) -> tuple[float, bool]:
    """A 429; by default that of a batch that has just left."""
    return await desk.ledger.spending.throttled("contoso", desk.buckets, wait_s, "429", **more)


async def _in_the_past(desk: Desk, ms: int, bucket: Bucket = SLOW) -> None:
    """Let the last 429, and where counting began, have been so long ago."""
    now = await read_time_ms(desk.client)
    kind, count, _ = (await desk.field(desk.keys.bucket(bucket.scope), "a")).split()
    await _set(desk, bucket, e=now - ms, a=f"{kind} {count} {now - ms}", t=now - 1, l=50)


async def _begin(desk: Desk, lease: Lease, rows: range) -> Grant:
    return await desk.begin(lease, rows)


async def test_the_emptiest_bucket_that_may_be_meant_is_closed(desk: Desk) -> None:
    """A 429 without a scope: the limit that we know to be nearly used is the likeliest; the others
    are left as they are.
    """
    wide = Bucket("wide", 10_000, 1_000_000)
    desk.buckets = [wide, SLOW]
    lease = await _lease(desk)
    assert (await _begin(desk, lease, range(20))).rows
    await _throttled(desk, 30, refused=5)
    assert await _number(desk, "c") > await read_time_ms(desk.client) + 29_000
    assert await _number(desk, "l", wide) == pytest.approx(9_980, abs=1)
    assert await desk.field(desk.keys.bucket(wide.scope), "c") == ""


async def test_the_rate_is_what_came_in_between_two_429s(desk: Desk) -> None:
    """40 rows accepted within 1,000 s: 0.04 a second instead of 0.1."""
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    assert (await _throttled(desk, refused=0))[1]
    await _in_the_past(desk, 1_000_000)
    for start in (20, 40):
        await _begin(desk, lease, range(start, start + 20))
    assert (await _throttled(desk, refused=0))[1]
    learned = await _number(desk, "r") * 1000
    assert 0.04 < learned < 0.075, "a third of it is what we believed until then"
    await _in_the_past(desk, 100_000_000)
    await _set(desk, n=await _number(desk, "n") + 4_000)
    await _throttled(desk, refused=0)
    assert await _number(desk, "r") * 1000 == pytest.approx(0.04, rel=0.05)


async def test_a_batch_that_left_before_the_429_teaches_nothing_new(desk: Desk) -> None:
    """Those on the wire meet the same 429; they are paid back, and that is all."""
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    assert (await _throttled(desk, refused=20, begun_since=40, elapsed_s=0.5))[1]
    before = await _number(desk, "r"), await _number(desk, "l")
    assert not (await _throttled(desk, refused=20, elapsed_s=0.5))[1]
    assert await _number(desk, "r") == before[0]
    assert await _number(desk, "l") == pytest.approx(max(-80, before[1] - 20), abs=0.1)


async def test_refused_rows_are_paid_back(desk: Desk) -> None:
    """They may count on Graph's side, as may those on the wire; a quarter of the bucket is saved up
    besides. Never beyond Graph's own account.
    """
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    wait_s, _ = await _throttled(desk, refused=5, begun_since=10)
    assert await _number(desk, "l") == pytest.approx(-40, abs=0.1)
    assert wait_s == pytest.approx(41 / (await _number(desk, "r") * 1000), rel=0.01)
    await _in_the_past(desk, 1_000_000)
    await _throttled(desk, refused=5, begun_since=1_000)
    assert await _number(desk, "l") == -80


async def test_where_nothing_goes_through_one_row_tries_at_a_time(desk: Desk) -> None:
    """No spiral: two 429s with nothing accepted between them, and only a single row leaves until
    one went through.
    """
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    await _throttled(desk, refused=20)
    rate = await _number(desk, "r")
    await _in_the_past(desk, 60_000)
    await _begin(desk, lease, range(20, 40))
    await _throttled(desk, refused=20)
    assert await _number(desk, "r") == rate, "nothing was measured"
    await _in_the_past(desk, 60_000)
    grant = await _begin(desk, lease, range(40, 60))
    assert (len(grant.rows), grant.tries_quota) == (1, True)
    assert (await _begin(desk, lease, range(60, 80))).why == "quota"
    await desk.ledger.spending.works(desk.buckets)
    assert (await _begin(desk, lease, range(60, 80))).why == "quota", "what we believed to be there was not"
    await _set(desk, l=50)
    grant = await _begin(desk, lease, range(60, 80))
    assert (len(grant.rows), grant.tries_quota) == (20, False)


async def test_a_clean_while_brings_the_whole_limit_back(desk: Desk) -> None:
    """A learned rate grows by itself, slowly at first, and is forgotten once it is the limit's
    own.
    """
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    await _throttled(desk, refused=0)
    now = await read_time_ms(desk.client)
    waits = []
    for units in (0, 5, 20, 60, 200):
        await _set(desk, r="0.00001", u="0.001", rt=now - units * 30_000, l=0, t=await read_time_ms(desk.client), c=0)
        waits.append((await _begin(desk, lease, range(20, 22))).wait_s)
    assert waits == sorted(waits, reverse=True)
    assert waits[0] == pytest.approx(100, rel=0.01)
    assert waits[1] > 95
    assert waits[3] < 50
    await _set(desk, rt=now - 2_000 * 30_000, t=await read_time_ms(desk.client))
    assert (await _begin(desk, lease, range(20, 22))).wait_s == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize(("answer_s", "owed"), [(0.1, 1), (0.5, 5), (1, 10), (30, 10)])
async def test_the_first_rows_of_a_full_limit_owe_the_time_of_an_answer(
    desk: Desk, answer_s: float, owed: float
) -> None:
    """Graph's bucket fills from when they arrive there: as late as an answer takes, a second at
    most.
    """
    ten_a_second = Bucket("b", 1_000, 100_000)
    desk.buckets = [ten_a_second]
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    then = await read_time_ms(desk.client) - 1_000
    await _set(desk, ten_a_second, t=then, w=then)
    await desk.ledger.begin_batch(lease, range(20, 40), desk.buckets, tenant_key="t", client_key="c", answer_s=answer_s)
    left = await _number(desk, "l", ten_a_second)
    assert 960 + 10 - owed <= left < 960 + 10 - owed + 4


async def test_what_a_burst_takes_before_an_answer_is_not_lost(desk: Desk) -> None:
    """Nobody knows yet how long an answer takes: a second is waited for, and what came in is
    counted once the first was quicker.
    """
    ten_a_second = Bucket("b", 1_000, 100_000)
    desk.buckets = [ten_a_second]
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    then = await read_time_ms(desk.client) - 600
    await _set(desk, ten_a_second, t=then, w=then)
    await _begin(desk, lease, range(20, 40))
    assert await _number(desk, "l", ten_a_second) == 960
    await desk.ledger.begin_batch(lease, range(40, 60), desk.buckets, tenant_key="t", client_key="c", answer_s=0.1)
    assert 945 <= await _number(desk, "l", ten_a_second) < 948


async def test_a_list_has_the_whole_of_a_full_limit_at_once(desk: Desk) -> None:
    """Of 3,000 writes the first burst is at least 99 %; what is left is for single guests."""
    connection = parse_connection("contoso", {"tenant_id": "t.example", "client_id": "c", "client_secret": "env:NONE"})
    desk.buckets = [b for b in invitation_buckets(Settings(), connection) if b.scope.startswith("writes:")]
    for name in ("one", "two"):  # of the same application
        await desk.load(1_500, name)
    sent = 0
    for ticket in await desk.tick(seats=200):
        lease = await desk.ledger.claim(ticket)
        assert lease is not None
        for start in range(0, 100, 20):
            sent += len((await _begin(desk, lease, range(start, start + 20))).rows)
    assert 2_970 <= sent < 3_000


async def test_batches_are_small_where_little_comes_in(desk: Desk) -> None:
    """At three rows a window, twenty at once would never all go through."""
    lease = await _lease(desk)
    await _begin(desk, lease, range(20))
    await _throttled(desk, refused=0)
    await _set(
        desk, r="0.000006", u="0", rt=await read_time_ms(desk.client), l=90, t=await read_time_ms(desk.client), c=0
    )
    assert len((await _begin(desk, lease, range(20, 40))).rows) == 3


async def test_bulk_work_leaves_its_reserve_to_single_guests(desk: Desk) -> None:
    """A list stops at the reserve; a guest that somebody waits for may use it."""
    desk.buckets = [Bucket("b", 40, 100_000_000, kept=10)]
    bulk = await _lease(desk)
    assert len((await _begin(desk, bulk, range(20))).rows) == 20
    assert len((await _begin(desk, bulk, range(20, 40))).rows) == 10
    assert (await _begin(desk, bulk, range(40, 60))).why == "quota"
    single = await _lease(desk, 1, Lane.NOW)
    assert single.ticket.lane is Lane.NOW
    assert len((await _begin(desk, single, range(1))).rows) == 1
    assert await desk.ledger.spending.take(desk.buckets, 5) > 0
    assert await desk.ledger.spending.take(desk.buckets, 5, Lane.NOW) == 0


@pytest.mark.parametrize(("lane", "sent"), [(Lane.BULK, 15), (Lane.NOW, 20)])
async def test_a_list_keeps_a_distance_to_a_limit_of_which_our_picture_was_wrong(
    desk: Desk, lane: Lane, sent: int
) -> None:
    """After a 429 a twentieth is left alone, however small the reserve; a guest that somebody waits
    for may use it.
    """
    slow = Bucket("slow", 100, 1_000_000, kept=1)
    desk.buckets = [slow]
    lease = await _lease(desk, lane=lane)
    await _begin(desk, lease, range(20))
    await _throttled(desk, refused=0)
    now = await read_time_ms(desk.client)
    await _set(desk, slow, r="0.00005", u="0", rt=now, l="20.01", t=now, c=0)
    assert len((await _begin(desk, lease, range(20, 40))).rows) == sent


async def test_whatever_comes_in_is_theirs_who_wait_for_a_single_guest(desk: Desk) -> None:
    """With the quota spent, reserve and all, a list does not take the next token from under
    them.
    """
    desk.buckets = [Bucket("b", 20, 20_000)]
    bulk = await _lease(desk)
    assert len((await _begin(desk, bulk, range(20))).rows) == 20
    single = await _lease(desk, 1, Lane.NOW)
    grant = await _begin(desk, single, range(1))
    assert grant.why == "quota"
    bucket = desk.buckets[0]
    await _set(desk, bucket, l=5, t=await read_time_ms(desk.client))
    assert (await _begin(desk, bulk, range(20, 25))).why == "quota"
    assert (await _begin(desk, single, range(1))).rows
    assert (await _begin(desk, bulk, range(20, 24))).rows


# used: what Graph shows of a limit


async def _level_after(
    desk: Desk,
    share: float,
    *,
    level: float = 900,
    begun_since: int = 0,
    beside: float | None = None,
    amount: int = 1000,
) -> float:
    """Return what is left of the writes once Graph has shown this share as used."""
    writes, small = Bucket("writes:c", amount, 10**9), Bucket("invitations:t", 150, 10**9)
    client, names = desk.ledger.client, desk.keys
    now_ms = 1000 * (await client.time())[0]
    await client.hset(names.bucket(writes.scope), mapping={"l": level, "t": now_ms})
    if beside is not None:
        await client.hset(names.bucket(small.scope), mapping={"l": beside, "t": now_ms})
    buckets = [writes, *([small] if beside is not None else [])]
    await desk.ledger.spending.show_used(buckets, share, begun_since=begun_since, elapsed_s=0.1)
    return float(await desk.field(names.bucket(writes.scope), "l"))


async def test_what_graph_shows_as_used_lowers_our_picture(desk: Desk) -> None:
    """A little more than we know of: what is left by Graph, less what has left since; a twentieth
    is kept once it was much more.
    """
    assert await _level_after(desk, 0.85, level=200) == pytest.approx(150)
    assert await _level_after(desk, 0.85, level=200, begun_since=40) == pytest.approx(110)
    assert await _level_after(desk, 0.85, level=900) == pytest.approx(100)
    assert await _level_after(desk, 0.85, level=160) == pytest.approx(100), "as long as it goes on"
    assert await _level_after(desk, 1.8, level=900) == pytest.approx(-50), "no spiral"


async def test_what_graph_shows_as_used_never_raises_our_picture(desk: Desk) -> None:
    """It may speak of another limit."""
    assert await _level_after(desk, 0.85, level=20) == 20


async def test_a_small_bucket_that_we_know_to_be_used_explains_what_is_shown(desk: Desk) -> None:
    """150 in 5 s are at their edge all the time; the writes beside them are left alone. A full one
    explains nothing.
    """
    assert await _level_after(desk, 0.9, beside=10) == 900
    assert await _level_after(desk, 0.9, beside=80) == 900
    assert await _level_after(desk, 0.9, beside=150) == pytest.approx(50)


async def test_what_our_own_rows_explain_lowers_nothing(desk: Desk) -> None:
    """A share in whole hundredths, and rows on the wire that are not in it yet: a list that is
    alone loses nothing by it.
    """
    assert await _level_after(desk, 0.99, level=14) == 14
    assert await _level_after(desk, 0.99, level=14, begun_since=40) == 14
    assert await _level_after(desk, 0.99, level=16, begun_since=40) == pytest.approx(-30)


async def test_a_small_bucket_is_not_corrected(desk: Desk) -> None:
    """Our own rows on the wire weigh more in it than what is shown."""
    assert await _level_after(desk, 0.85, amount=200, level=180) == 180
