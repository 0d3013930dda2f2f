"""A worker on RabbitMQ, with quorum queues by configuration alone: the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path
from typing import Any

import amqp
import pytest
from celery import Celery

from tasks.producer_logins import rabbit_commands
from tests.brokers import Rabbit, run_rabbit
from tests.processes import ROOT
from tests.sandboxes import Sandbox
from tests.sites import Site, kill, open_site
from worker.queues import BULK, NOW, PRODUCERS, SCHEDULES


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
    """RabbitMQ carries the offers alone: everybody ends invited, with one mail, whoever dies on the
    way.
    """
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


async def test_what_a_message_may_not_be_is_refused_here_too(valkey_url: str, sandbox: Sandbox) -> None:
    """Compressed, too large, with a callback, of usher's own, for another time: an answer each, and
    the worker goes on.
    """
    with run_rabbit() as rabbit:
        async with open_site(valkey_url, sandbox) as site:
            use_broker(site, rabbit.url)
            worker = site.start_worker()
            results = f"redis+socket://{valkey_url.removeprefix('unix://')}?virtual_host=0"
            with Celery("elsewhere", broker=rabbit.url, backend=results, set_as_current=False) as client:
                client.conf.update(
                    task_default_queue_type="quorum",
                    result_backend_transport_options={"global_keyprefix": f"{site.desk.keys.prefix}:res:"},
                )

                async def ask(task: str, *args: Any, **options: Any) -> str:
                    sent = client.send_task(task, args, **options)
                    answer: dict[str, Any] = await asyncio.to_thread(sent.get, timeout=90)
                    assert answer["status"] == "refused"
                    return str(answer["errors"])

                assert "compressed" in await ask("usher.job", "a" * 10_000_000, compression="zlib")
                assert "larger than 4 MB" in await ask("usher.job", "a" * 5_000_000)
                assert "Callbacks" in await ask("usher.job", "a", link=client.signature("portal.pay"))
                assert "A time" in await ask("usher.job", "a", countdown=600)
                for own in ("usher.scheduled", "usher.run_chunk", "celery.map"):
                    assert "no task of that name" in await ask(own, "a")
                assert "There is no job" in await ask("usher.job", "a")
            assert "Traceback" not in site.log_of(1).read_text()
            assert worker.poll() is None


async def test_a_producers_user_sends_and_can_do_nothing_else(
    valkey_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """With the rights that `usher producers add` prints: no queue is read, for there lie others'
    messages and tokens, and none but that of producers is reached.
    """
    (tmp_path / "word").write_text("word\n")
    with run_rabbit() as rabbit:
        rabbit.run(" && ".join(rabbit_commands("hr", "/", str(tmp_path / "word"))))
        async with open_site(valkey_url, sandbox) as site:
            use_broker(site, rabbit.url)
            site.start_worker()
            results = f"redis+socket://{valkey_url.removeprefix('unix://')}?virtual_host=0"
            broker = rabbit.url.replace("guest:guest", "hr:word")
            with Celery("hr", broker=broker, backend=results, set_as_current=False) as client:
                client.conf.result_backend_transport_options = {"global_keyprefix": f"{site.desk.keys.prefix}:res:"}
                page = (ROOT / "docs/producers.md").read_text(encoding="utf-8")
                assert '`send_task(…, exchange="celery", routing_key="celery", declare=[])`' in page
                way: dict[str, Any] = {"exchange": "celery", "routing_key": "celery", "declare": []}
                sent = await asyncio.to_thread(client.send_task, "usher.job", ["aaaaaaaaaa"], **way)
                answer: dict[str, Any] = await asyncio.to_thread(sent.get, timeout=90)
                assert "There is no job" in answer["errors"][0]

            def refused(what: Callable[[amqp.Channel], Any]) -> None:
                login = {"userid": "hr", "password": "word"}
                opened = amqp.Connection(f"127.0.0.1:{rabbit.port}", confirm_publish=True, **login)
                with opened as connection, pytest.raises(amqp.AccessRefused):
                    what(connection.channel())

            for queue in (PRODUCERS, NOW, BULK, SCHEDULES):
                refused(methodcaller("basic_get", queue))
                refused(methodcaller("queue_purge", queue))
                refused(methodcaller("basic_publish", amqp.Message("x"), "", queue))
            for exchange in (NOW, BULK, SCHEDULES, "celery.pidbox", "celeryev"):
                refused(methodcaller("basic_publish", amqp.Message("x"), exchange, exchange))
            refused(methodcaller("queue_declare", "mine"))
            refused(methodcaller("queue_bind", PRODUCERS, PRODUCERS, "x"))
