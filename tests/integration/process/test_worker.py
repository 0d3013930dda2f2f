"""Real Celery workers on a real Valkey against the sandbox over HTTPS: nothing lost, nobody mailed
twice, whatever stops.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from tests.sandboxes import connection_table
from tests.sites import QUOTA, Site
from worker.ledger.gates import HoldReason
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState


async def test_two_workers_share_a_job_and_a_warm_stop_loses_nothing(site: Site) -> None:
    """The worker that is stopped ends after its batch in flight and gives the rest back; everybody
    is mailed once.
    """
    first, _ = site.start_worker(16, level="DEBUG"), site.start_worker(16, level="DEBUG")
    job = await site.desk.load(2000)

    async def both_at_work() -> bool:
        return all("Task usher.run_chunk" in site.log_of(number).read_text() for number in (1, 2))

    await site.until("two workers at work", both_at_work)
    first.send_signal(signal.SIGTERM)
    await asyncio.to_thread(first.wait, 60)
    assert first.returncode == 0
    await site.all_invited_once(job, 2000)
    assert site.sandbox.ask("stats")["tokens_issued"] <= 2


@pytest.mark.parametrize("latency", ["0.4", "0.1"], ids=["after it consumes no more", "while it still consumes"])
async def test_a_warm_stop_ends_after_the_batch_in_flight(site: Site, latency: str) -> None:
    """Its answers are recorded, nothing is left in doubt, the rest of the chunk waits for another
    worker; it is not offered to this one.
    """
    worker = site.start_worker()
    site.sandbox.ask("latency", {"latency": latency})
    job = await site.desk.load(100)
    await site.some(job, 20)
    worker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(worker.wait, 60)
    view = await site.view(job)
    assert worker.returncode == 0
    assert view.counts.done <= 60
    assert set(await site.desk.letters(job)) == {"i", "."}
    site.assert_all_mailed_once(view.counts.done)
    assert len(await site.desk.tick("another", 4)) == 1


async def test_a_terminal_that_ends_stops_a_worker_warmly(site: Site) -> None:
    """After the batch in flight too, and with nothing in doubt."""
    worker = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(100)
    await site.some(job, 20)
    worker.send_signal(signal.SIGHUP)
    await asyncio.to_thread(worker.wait, 60)
    assert worker.returncode == 0
    assert set(await site.desk.letters(job)) == {"i", "."}


async def test_a_worker_under_nohup_outlives_its_terminal(site: Site) -> None:
    """It does its job to the end, which takes longer than a warm stop."""
    worker = site.start_worker(before=("nohup",))
    site.sandbox.ask("latency", {"latency": "0.2"})
    job = await site.desk.load(1000)
    await site.some(job, 20)
    worker.send_signal(signal.SIGHUP)
    await site.all_invited_once(job, 1000)
    assert worker.poll() is None


async def test_a_chunk_at_the_quota_keeps_its_seat_for_its_next_tokens(site: Site) -> None:
    """Ten batches at a batch a third of a second: two chunks are not offered anew for each of
    them.
    """
    config = site.folder / "usher.toml"
    config.write_text(config.read_text().replace(QUOTA, f'{QUOTA}writes_per_app_and_tenant = "60/1s"\n'))
    site.start_worker(16)
    job = await site.desk.load(200)
    await site.ended(job)
    site.assert_all_mailed_once(200)
    offers = int(await site.desk.ledger.client.get(site.desk.keys.fence()))
    assert offers <= 6, offers


async def test_the_broker_may_lose_everything_at_any_time(site: Site) -> None:
    """Every broker key deleted, again and again while a job runs: the job completes, nothing is
    sent twice.
    """
    site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(1000)
    mq = f"{site.desk.keys.prefix}:mq:"
    client: Any = site.desk.client
    await client.brpop([f"{mq}usher.bulk"], timeout=5)  # a message that nobody will ever see
    await site.desk.make_past(site.desk.keys.offers())  # (its offer is void after 15 s; not waited for here)
    for least in (20, 60, 100, 140):
        await site.some(job, least)
        names = [name async for name in client.scan_iter(match=f"{mq}*")]
        if names:
            await client.delete(*names)
    site.sandbox.ask("latency", {"latency": "0.05"})
    await site.all_invited_once(job, 1000, 40)


async def test_a_killed_worker_costs_seconds_and_doubles_nothing(site: Site) -> None:
    """SIGKILL with batches on the wire: another worker goes on, rows on the wire are looked up,
    nobody is mailed twice.
    """
    victim = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(120)
    await site.some(job, 20)

    async def on_the_wire() -> bool:
        return "s" in await site.desk.letters(job, 0) + await site.desk.letters(job, 1)

    await site.until("rows on the wire", on_the_wire)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert (await site.view(job)).open > 0
    site.sandbox.ask("latency", {"latency": "0.02"})
    site.start_worker()
    await site.all_invited_once(job, 120)


async def test_lost_answers_are_looked_up_and_nobody_is_mailed_twice(site: Site) -> None:
    """Connections that break after Graph did its work, and 504s either way: each row ends invited,
    with one mail.
    """
    site.sandbox.ask("faults", {"spec": "lost@batch=1/4,504@item@invite=1/9"})
    site.sandbox.ask("latency", {"latency": "0"})
    site.start_worker()
    job = await site.desk.load(200)
    await site.all_invited_once(job, 200, 40)


async def test_a_wrong_secret_holds_and_a_right_one_ends_the_hold(site: Site) -> None:
    """The rows wait, the sentence says why; when the file is corrected the job goes on by
    itself.
    """
    good = site.secret.read_text()
    site.secret.write_text("wrong")
    site.start_worker()
    job = await site.desk.load(30)

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.state is JobState.HELD else None

    view = await site.until("the hold", held)
    assert view.gate.kind is HoldReason.CREDENTIAL
    assert "secret" in view.why
    assert view.counts.pending == 30
    site.secret.write_text(good)
    await site.all_invited_once(job, 30)


async def test_pause_resume_and_cancel_act_within_a_batch(site: Site) -> None:
    """After a pause at most the batches in flight end; resume goes on; after a cancel the rest is
    cancelled, unsent.
    """
    site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(500)
    await site.some(job, 20)
    await site.desk.jobs.pause(job, "a test")

    async def quiet() -> bool:
        return (await site.view(job)).open == 0

    await site.until("the batches in flight", quiet)
    paused = await site.view(job)
    mails = site.sandbox.ask("stats")["mails"]["total"]
    assert paused.state is JobState.PAUSED
    assert paused.counts.done == mails
    await site.desk.tick("looker", 0)  # a moment in which nothing may happen
    assert (await site.view(job)).counts == paused.counts
    await site.desk.jobs.resume(job)
    await site.some(job, paused.counts.done + 20)
    await site.desk.jobs.cancel(job)
    view = await site.ended(job)
    assert view.state is JobState.CANCELLED
    assert view.counts.cancelled > 0
    assert view.counts.done + view.counts.cancelled == 500
    site.assert_all_mailed_once(view.counts.done)


async def test_one_connections_trouble_is_not_anothers(site: Site) -> None:
    """While one connection cannot sign in and another is unknown to the worker, a third runs at
    full speed.
    """
    table = connection_table("fabrikam", site.sandbox.ready, client_secret='"file:/nonexistent/secret"')
    with (site.folder / "usher.toml").open("a") as file:
        file.write(table)
    site.start_worker()
    stuck = await site.desk.load(300, "fabrikam")
    unknown = await site.desk.load(300, "nobody")
    job = await site.desk.load(100)
    view = await site.ended(job)
    assert view.counts == Counts(rows=100, done=100)
    assert (await site.view(stuck)).state is JobState.HELD
    assert (await site.view(unknown)).counts.pending == 300
