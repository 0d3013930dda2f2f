"""RabbitMQ with quorum queues, and Redis behind Sentinel: by configuration alone, with the same promises."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import amqp
import pytest

from tests.brokers import Rabbit, run_guarded, run_rabbit
from tests.integration.producers_fixtures import Sandbox, run_sandbox
from tests.sites import Site, kill, open_site
from worker.model import Counts
from worker.queues import BULK, NOW, PRODUCERS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox for the module; each site resets it."""
    folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
    with run_sandbox(folder, "--quota", "off", "--replication", "0-0.3") as sandbox:
        yield sandbox
    shutil.rmtree(folder)


def use_broker(site: Site, url: str) -> None:
    """Let the site's workers use another broker."""
    config = site.folder / "usher.toml"
    config.write_text(config.read_text() + f'[broker]\nurl = "{url}"\nquorum = true\n')


def is_quorum(rabbit: Rabbit, queue: str) -> bool:
    """Whether RabbitMQ refuses to declare the queue as a classic one, and says why."""
    with amqp.Connection(f"127.0.0.1:{rabbit.port}") as connection:
        connection.connect()
        try:
            connection.channel().queue_declare(queue, durable=True, auto_delete=False)
        except amqp.PreconditionFailed as refused:
            return "'quorum'" in str(refused)
    return False


async def test_a_job_runs_over_quorum_queues_though_worker_and_broker_are_killed(
    valkey_url: str, sandbox: Sandbox
) -> None:
    """RabbitMQ carries the offers alone: everybody ends invited, with one mail, whoever dies on the way."""
    with run_rabbit() as rabbit:
        async with open_site(valkey_url, sandbox) as site:
            use_broker(site, rabbit.url)
            site.sandbox.ask("latency", {"latency": "0.3"})
            job = await site.desk.load(400)
            worker = site.start_worker()
            await site.some(job, 60)
            assert [is_quorum(rabbit, queue) for queue in (PRODUCERS, NOW, BULK)] == [True] * 3
            await site.rows_on_the_wire(job)
            kill(worker)
            site.start_worker()
            await site.some(job, 200)
            rabbit.kill()
            rabbit.start_again()
            view = await site.ended(job, 60)
            assert view.counts == Counts(rows=400, invited=400)
            site.assert_all_mailed_once(400)


async def test_a_failover_in_the_middle_of_a_job(sandbox: Sandbox) -> None:
    """The master dies, Sentinel names the replica, the worker follows: every row ends once, and nobody has two mails."""
    with run_guarded() as guarded:
        async with open_site(guarded.url, sandbox) as site:
            site.sandbox.ask("latency", {"latency": "0.3"})
            job = await site.desk.load(400)
            site.start_worker()
            await site.some(job, 100)
            await site.rows_on_the_wire(job)
            guarded.kill_master()

            async def named() -> bool:
                return guarded.master_port() == guarded.ports[1]

            await site.until("the replica as master", named)
            view = await site.ended(job, 90)
            assert view.counts == Counts(rows=400, invited=400)
            site.assert_all_mailed_once(400)
