"""Things that stop and come back: a frozen worker, a frozen or absent Redis, a broker and results
wiped clean.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from tests.sites import OwnValkey, Site
from worker.ledger.model import Counts

SETTLE_S = 8
"""Above the longest age of a mark (5 s) and a request's timeout, as the real ones are."""


async def freeze(site: Site, for_s: float, within_s: float) -> None:
    """Stop a worker with rows on the wire; another does the rest. Woken up, it sends nothing old
    and works on what is new.
    """
    sleeper = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(200)
    await site.some(job, 40)
    await site.rows_on_the_wire(job)
    os.kill(sleeper.pid, signal.SIGSTOP)
    try:
        asleep = asyncio.create_task(asyncio.sleep(for_s))
        other = site.start_worker()
        view = await site.ended(job, within_s)
        await asleep
    finally:
        os.kill(sleeper.pid, signal.SIGCONT)
    assert view.counts == Counts(rows=200, done=200)
    asked = site.sandbox.ask("stats")["items"]["invite"]

    async def noticed() -> bool:
        return "lease lost" in site.log_of(1).read_text() or f"job {job} chunk" in site.log_of(1).read_text()

    await site.until("the woken worker's word on its lease", noticed)
    assert site.sandbox.ask("stats")["items"]["invite"] == asked
    other.send_signal(signal.SIGTERM)
    await asyncio.to_thread(other.wait, 60)
    new = await site.desk.load(60)
    assert (await site.ended(new)).counts == Counts(rows=60, done=60)
    site.assert_all_mailed_once(260)


@pytest.mark.sandbox(settle_s=SETTLE_S)
async def test_a_worker_frozen_past_its_lease_sends_nothing_of_it_again(site: Site) -> None:
    """For as long as the others need for its rows too."""
    await freeze(site, 0, 40)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.sandbox(lease_s=15, settle_s=60, timeout_s=25)
async def test_a_worker_frozen_for_three_minutes(site: Site) -> None:
    """With leases and times as they are in life: past the lease, the mark, the request's timeout
    and the settling of its rows.
    """
    await freeze(site, 180, 150)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.sandbox(settle_s=SETTLE_S)
async def test_a_worker_frozen_again_and_again(site: Site) -> None:
    """Stopped at any moment for longer than its lease, ten times, beside one that is not: nobody is
    mailed twice.
    """
    sleeper = site.start_worker()
    site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.05-0.4"})
    job = await site.desk.load(5000)
    for least in range(100, 1100, 100):
        await site.some(job, least, 60)
        os.kill(sleeper.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1 + least / 200)  # from just past the lease to past the age of a mark
        finally:
            os.kill(sleeper.pid, signal.SIGCONT)
    await site.all_invited_once(job, 5000, 240)


async def test_redis_frozen_for_five_seconds(own_site: Site, own_valkey: OwnValkey) -> None:
    """Longer than a lease: the worker goes on when Redis does, and what it heard meanwhile is
    recorded.
    """
    site = own_site
    worker = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.2"})
    job = await site.desk.load(300)
    await site.some(job, 60)
    await site.rows_on_the_wire(job)
    own_valkey.freeze()
    await asyncio.sleep(5)
    own_valkey.thaw()
    await site.all_invited_once(job, 300, 40)
    assert all(record["invitation_id"] for record in await site.results(job)), "a look-up would not know it"
    assert worker.poll() is None


@pytest.mark.parametrize(
    "away_s", [6.0, pytest.param(60.0, marks=[pytest.mark.long, pytest.mark.timeout(300)])], ids=["6s", "60s"]
)
async def test_redis_gone_and_back(own_site: Site, own_valkey: OwnValkey, away_s: float) -> None:
    """Nothing is sent while it is away; the same worker goes on by itself, and the outcomes it
    carried are written down.
    """
    site = own_site
    worker = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.3"})
    job = await site.desk.load(300)
    await site.some(job, 60)
    await site.rows_on_the_wire(job)
    own_valkey.kill()

    async def quiet() -> Any:
        before = site.sandbox.ask("stats")["items"]["invite"]
        await asyncio.sleep(1)
        return before if site.sandbox.ask("stats")["items"]["invite"] == before else None

    asked = await site.until("the answers to what was on the wire", quiet)
    await asyncio.sleep(away_s - 1)
    assert site.sandbox.ask("stats")["items"]["invite"] == asked
    own_valkey.start_again()
    await site.all_invited_once(job, 300, 60)
    assert worker.poll() is None


async def test_a_worker_that_slept_through_a_restart_of_redis(own_site: Site, own_valkey: OwnValkey) -> None:
    """Its connections are dead and the server is up already: it subscribes anew and consumes, with
    nobody beside it whose messages wake it.
    """
    site = own_site
    worker = site.start_worker()
    first = await site.desk.load(20)
    await site.ended(first)
    os.kill(worker.pid, signal.SIGSTOP)
    own_valkey.kill()
    own_valkey.start_again()
    os.kill(worker.pid, signal.SIGCONT)
    job = await site.desk.load(60)
    view = await site.ended(job, 40)
    assert view.counts == Counts(rows=60, done=60)
    site.assert_all_mailed_once(80)


@pytest.mark.sandbox(latency="0.4", settle_s=SETTLE_S)
async def test_answers_heard_while_redis_was_gone_are_not_in_doubt(own_site: Site, own_valkey: OwnValkey) -> None:
    """An app that may only invite, an outage well below settle_s: the worker carries what it heard
    until it can be written.
    """
    site = own_site
    site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    site.start_worker()
    job = await site.desk.load(160)
    await site.some(job, 60)
    await site.rows_on_the_wire(job)
    own_valkey.kill()
    await asyncio.sleep(1.5)
    own_valkey.start_again()
    await site.all_invited_once(job, 160, 60)


async def test_broker_and_results_flushed_in_mid_job(own_site: Site) -> None:
    """Everything of Celery's deleted ten times: only the ledger counts."""
    site = own_site
    worker = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(500)
    deleted = 0
    for least in range(20, 420, 40):
        await site.some(job, least, 40)
        deleted += await site.delete_keys("mq", "res")
    assert deleted
    site.sandbox.ask("latency", {"latency": "0.05"})
    await site.all_invited_once(job, 500, 60)
    assert worker.poll() is None
