"""SIGKILL of workers and of Redis, again and again: everybody is invited, nobody twice, and
soon.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.sites import OwnValkey, Site, kill


async def test_three_workers_die_then_redis_then_the_broker(own_site: Site, own_valkey: OwnValkey) -> None:
    """Each is killed with rows on the wire: all rows end invited, with one mail each."""
    site = own_site
    site.sandbox.ask("latency", {"latency": "0.3"})
    job = await site.desk.load(600)
    for least in (40, 140, 240):
        worker = site.start_worker()
        await site.some(job, least)
        await site.rows_on_the_wire(job)
        kill(worker)
    site.start_worker()
    await site.some(job, 320)
    own_valkey.kill()
    own_valkey.start_again()
    await site.some(job, 400)
    assert await site.delete_keys("mq") > 0
    await site.all_invited_once(job, 600, 60)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_worker_dies_every_five_seconds(own_site: Site, own_valkey: OwnValkey) -> None:
    """6,000 rows at 300 ms an answer, through some twenty SIGKILLs, a killed Redis and a deleted
    broker.
    """
    site = own_site
    site.sandbox.ask("latency", {"latency": "0.3"})
    job = await site.desk.load(6000)
    kills = 0
    worker = site.start_worker()
    while (await site.view(job)).counts.finished < 4500:
        await asyncio.sleep(5)  # the rhythm is the test
        kill(worker)
        kills += 1
        worker = site.start_worker()
    assert kills >= 5
    own_valkey.kill()
    own_valkey.start_again()
    await site.some(job, 4800, 60)
    await site.delete_keys("mq")
    await site.all_invited_once(job, 6000, 240)


async def test_what_a_dead_worker_had_not_sent_is_sent_next(site: Site) -> None:
    """The untouched rows of a crashed worker's chunk go before fresh chunks once its lease has
    ended; rows on the wire follow once settled.
    """
    site.sandbox.ask("latency", {"latency": "0.3"})
    victim = site.start_worker()
    job = await site.desk.load(1000)
    await site.some(job, 120)
    await site.rows_on_the_wire(job)
    kill(victim)
    letters = [await site.desk.letters(job, chunk) for chunk in range(10)]
    begun = [chunk for chunk, states in enumerate(letters) if "s" in states]
    untouched = {
        f"{job}-{100 * chunk + i + 1}@example.com"
        for chunk in begun
        for i, state in enumerate(letters[chunk])
        if state == "."
    }
    assert untouched
    assert letters[9] == "." * 100
    site.start_worker()
    await site.all_invited_once(job, 1000, 60)
    mailed = [mail["to"] for mail in site.sandbox.ask("mails")]
    last = next(place for place, email in enumerate(mailed) if int(email.partition("@")[0].rpartition("-")[2]) > 900)
    assert max(mailed.index(email) for email in untouched) < last
