"""Redis is not the one it was: a replica that lagged takes over. What left meanwhile is neither
sent again nor forgotten.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sites import OwnValkey, Site, kill
from worker.ledger.model import Counts

MAY_ONLY_INVITE = {"roles": ["User.Invite.All"]}


async def lose_the_last_moments(site: Site, server: OwnValkey, job: str, rows: int) -> Path:
    """Let a copy of the server take over that knows nothing of the last so many outcomes, nor of
    what is on the wire.
    """
    copy = await copy_in_mid_air(site, server, job)
    await site.send_more(job, rows)
    server.put_back(copy)
    return copy


async def copy_in_mid_air(site: Site, server: OwnValkey, job: str) -> Path:
    """Copy the server while rows are on the wire."""
    await site.rows_on_the_wire(job)
    return server.copy()


async def epoch_of(site: Site) -> str:
    """Return the epoch that the ledger is in."""
    return await site.desk.field(site.desk.keys.epoch(), "n")


async def assert_all_by_graph(site: Site, job: str) -> None:
    """Everybody is invited once, and by Graph's answer itself, not a look-up's."""
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=1500, done=1500)
    assert all(record["invitation_id"] for record in await site.results(job))
    site.assert_all_mailed_once(1500)


@pytest.mark.parametrize("reads", [True, False], ids=["with a directory", "without"])
async def test_what_a_replica_had_not_got_is_written_again(own_site: Site, own_valkey: OwnValkey, reads: bool) -> None:
    """Two workers live on: marks and outcomes of the lost moments come back from their memory,
    links and ids included.
    """
    site = own_site
    if not reads:
        site.sandbox.ask("policy", MAY_ONLY_INVITE)
    site.sandbox.ask("latency", {"latency": "0.3"})
    workers = [site.start_worker(16), site.start_worker(16)]
    job = await site.desk.load(1500)
    await site.some(job, 60)
    for _ in range(2):
        await lose_the_last_moments(site, own_valkey, job, 100)
    await assert_all_by_graph(site, job)
    assert all(worker.poll() is None for worker in workers)
    assert "Redis had lost that" in site.log_of(1).read_text() + site.log_of(2).read_text()


async def test_two_failovers_that_find_the_same_state(own_site: Site, own_valkey: OwnValkey) -> None:
    """Of the first epoch the second server knows nothing, and the other worker met only the second:
    each writes its own again for each.
    """
    site = own_site
    site.sandbox.ask("policy", MAY_ONLY_INVITE)
    site.sandbox.ask("latency", {"latency": "0.3"})
    early, late = site.start_worker(16), site.start_worker(16)
    job = await site.desk.load(1500)
    await site.some(job, 60)
    begun_in = await epoch_of(site)
    copy = await copy_in_mid_air(site, own_valkey, job)
    await site.send_more(job, 100)
    for first, other in ((early, late), (late, early)):
        os.kill(other.pid, signal.SIGSTOP)
        own_valkey.put_back(copy)
        os.kill(first.pid, signal.SIGCONT)

        async def came_in() -> bool:
            return await epoch_of(site) != begun_in

        await site.until("a worker in the new epoch", came_in)
    os.kill(early.pid, signal.SIGCONT)
    await assert_all_by_graph(site, job)


@pytest.mark.sandbox(precheck="false")
async def test_a_worker_that_dies_with_redis_leaves_nobody_to_be_mailed_twice(
    own_site: Site, own_valkey: OwnValkey
) -> None:
    """Nobody remembers what it sent last: the rest waits until the directory shows it, and is
    looked up before it is sent.
    """
    site = own_site
    site.sandbox.ask("latency", {"latency": "0.3", "replication": "3-3.5"})  # below settle_s, which is 4
    victim = site.start_worker(4)
    site.start_worker(4)
    job = await site.desk.load(1200)
    await site.some(job, 60)
    copy = await copy_in_mid_air(site, own_valkey, job)
    # Each has three of twelve chunks in work at a time. Most of a chunk has ended since, whoever
    # had it, and nobody but the victim knows of its part
    await site.send_more(job, 500)
    kill(victim)
    own_valkey.put_back(copy)
    view = await site.ended(job, 60)
    mailed = Counter(mail["to"] for mail in site.sandbox.ask("mails"))
    assert max(mailed.values()) == 1
    assert len(mailed) == 1200
    assert view.counts.done + view.counts.already == 1200
    assert view.counts.already, "found there, which is all that can be known of them"


@pytest.mark.sandbox(lease_s=4)
async def test_an_answer_heard_while_redis_was_away_for_long(own_site: Site, own_valkey: OwnValkey) -> None:
    """Beyond settle_s, with an app that may only invite: no row is given up before its worker has
    come back with the answer.
    """
    site = own_site
    site.sandbox.ask("policy", MAY_ONLY_INVITE)
    site.sandbox.ask("latency", {"latency": "0.6"})
    late = site.start_worker(16)
    site.start_worker(16)
    job = await site.desk.load(600)
    await site.some(job, 20)
    await site.rows_on_the_wire(job)
    own_valkey.kill()
    await asyncio.sleep(1)  # what was on the wire has been answered
    os.kill(late.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(3.5)  # settle_s is over
        own_valkey.start_again()
        client: Any = site.desk.client

        async def waited_for() -> bool:
            return bool(await client.hexists(site.desk.keys.epoch(), "settle_from"))

        await site.until("the other worker's return", waited_for)
        await asyncio.sleep(3)  # Celery, too, has found the server again by now, and the rows would have been given up
    finally:
        os.kill(late.pid, signal.SIGCONT)
    await site.all_invited_once(job, 600, 60)
