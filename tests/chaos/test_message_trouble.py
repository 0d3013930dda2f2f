"""Messages that come twice, mean nothing or come too late: one run a fence, the worker lives,
nothing deleted comes back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from celery import Celery

from tests.sites import Site
from worker.errors import LedgerTooNew
from worker.ledger.keys import SCHEMA
from worker.ledger.model import Counts, Lane, Ticket


def client_of(site: Site, url: str) -> Celery:
    """A Celery client that reaches this site's queues and knows nothing else of it."""
    broker = f"redis+socket://{url.removeprefix('unix://')}?virtual_host=0"
    client = Celery("elsewhere", broker=broker, set_as_current=False)
    client.conf.broker_transport_options = {"global_keyprefix": f"{site.desk.keys.prefix}:mq:"}
    return client


def ring(client: Celery, ticket: Ticket) -> None:
    """Send the message of an offer, as a dispatcher does."""
    client.send_task(
        "usher.run_chunk",
        args=[ticket.job, ticket.chunk, ticket.connection],
        kwargs={"fence": ticket.fence, "lane": ticket.lane.value},
        queue="usher.bulk",
        ignore_result=True,
    )


@pytest.mark.sandbox(lease_s=3, settle_s=30, timeout_s=10)
async def test_a_message_delivered_again_during_its_own_run_is_a_no_op(site: Site, valkey_url: str) -> None:
    """The fence begins once: five deliveries of one offer are one run, and one mail each."""
    site.start_worker(8)
    site.sandbox.ask("latency", {"latency": "1.2"})
    job = await site.desk.load(60)
    client: Any = site.desk.client

    async def leased() -> Any:
        return await client.zrange(site.desk.keys.leases(), 0, -1)

    tickets = await site.until("the lease", leased)
    ticket = Ticket.parse(tickets[0].decode())
    await site.rows_on_the_wire(job)
    with client_of(site, valkey_url) as elsewhere:
        for _ in range(5):
            ring(elsewhere, ticket)

    async def refused() -> bool:
        return site.log_of(1).read_text().count("was claimed before") >= 5

    await site.until("five refusals", refused)
    assert (await site.view(job)).counts.pending, "the message came during the run"
    view = await site.ended(job)
    assert view.counts == Counts(rows=60, done=60)

    async def all_released() -> bool:
        return not await leased()

    await site.until("the end of every run", all_released)
    log = site.log_of(1).read_text()
    assert log.count(f"job {job} chunk 1 of 1,") <= 1, "the log's line follows the release: it may not be there yet"
    assert "leases ended" not in log, "it was renewed all along, being shorter than this run"
    site.assert_all_mailed_once(60)


async def test_a_poison_message_is_logged_and_the_worker_lives(site: Site, valkey_url: str) -> None:
    """No JSON, an unknown task, a chunk that is none, a job that is none: the next job runs in the
    same worker.
    """
    worker = site.start_worker()
    client: Any = site.desk.client
    for queue in ("usher.bulk", "usher.now", "celery"):
        await client.lpush(f"{site.desk.keys.prefix}:mq:{queue}", b"\x00 no message", b'{"body": 7}', b"[]")
    with client_of(site, valkey_url) as elsewhere:
        elsewhere.send_task("usher.no_such_task", args=[1], queue="usher.bulk", ignore_result=True)
        elsewhere.send_task("usher.run_chunk", args=[None, {}, "x"], queue="usher.bulk", ignore_result=True)
        elsewhere.send_task(
            "usher.run_chunk",
            args=["j", "zero", "contoso"],
            kwargs={"fence": "f", "lane": "?"},
            queue="usher.bulk",
            ignore_result=True,
        )
        ring(elsewhere, Ticket("none", 0, 10**6, "contoso", Lane.BULK))

    async def taken() -> bool:
        return "claimed before" in site.log_of(1).read_text()

    await site.until("the last of them", taken, 30)
    job = await site.desk.load(40)
    await site.all_invited_once(job, 40)
    assert worker.poll() is None


async def test_a_job_deleted_under_a_running_chunk_stays_deleted(site: Site) -> None:
    """Its answers find nothing to write to: no key of it comes back, and the worker goes on with
    others.
    """
    site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(300, job="gone")
    await site.some(job, 40)
    await site.rows_on_the_wire(job)
    await site.desk.jobs.delete(job)

    async def keys() -> list[str]:
        return [name for name in await site.desk.names() if "gone" in name.split(":")]

    async def noticed() -> bool:
        said = "chunk of job gone (1) was deleted, or lost by a failover, while rows of it were in work"
        return said in site.log_of(1).read_text() or bool(await keys())

    await site.until("the late answer", noticed)
    other = await site.desk.load(40, job="other")
    assert (await site.ended(other)).counts == Counts(rows=40, done=40)
    assert not await keys()
    client: Any = site.desk.client
    for key in (site.desk.keys.offers(), site.desk.keys.leases(), site.desk.keys.doubts("contoso")):
        members = await client.zrange(key, 0, -1)
        assert not [raw for raw in members if raw.startswith(b"gone:")], key
    mails = site.sandbox.ask("stats")["mails"]
    assert mails["more_than_once"] == 0
    assert mails["total"] <= 140


async def test_a_ledger_of_a_newer_schema_takes_no_jobs_of_ours(site: Site) -> None:
    """Refused in one sentence, and nothing is written."""
    client: Any = site.desk.client
    await client.set(site.desk.keys.schema(), SCHEMA + 1)
    with pytest.raises(LedgerTooNew) as refusal:
        await site.desk.load(1)
    assert str(refusal.value).count(".") <= 2
    assert "\n" not in str(refusal.value)
    assert not [name for name in await site.desk.names() if name.startswith(("job", "chunk"))]


async def test_a_ledger_of_a_newer_schema_is_not_worked_on(site: Site) -> None:
    """An older worker among newer ones offers and sends nothing."""
    client: Any = site.desk.client
    job = await site.desk.load(20)
    await client.set(site.desk.keys.schema(), SCHEMA + 1)
    with suppress(AssertionError):  # it may as well refuse to start
        site.start_worker()
    with pytest.raises(AssertionError, match="not within"):
        await site.some(job, 1, 1)
    assert site.sandbox.ask("stats")["mails"]["total"] == 0
