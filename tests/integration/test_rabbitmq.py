"""A worker on RabbitMQ, with quorum queues by configuration alone: the same promises."""

from __future__ import annotations

import amqp

from tests.brokers import Rabbit, run_rabbit
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.queues import BULK, NOW, PRODUCERS


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
            job = await site.desk.load(300)
            worker = site.start_worker()
            await site.some(job, 60)
            assert [is_quorum(rabbit, queue) for queue in (PRODUCERS, NOW, BULK)] == [True] * 3
            await site.rows_on_the_wire(job)
            kill(worker)
            site.start_worker()
            await site.some(job, 140)
            rabbit.kill()
            rabbit.start_again()
            await site.all_invited_once(job, 300, 60)
