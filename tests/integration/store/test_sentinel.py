"""A worker on Valkey behind Sentinel, by configuration alone: the same promises through a
failover.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from celery import Celery

from tests.brokers import run_guarded
from tests.processes import CELERY, plain_environment, running
from tests.sandboxes import Sandbox
from tests.sites import open_site
from worker.ledger.timetable import Timetable
from worker.store.client import open_client

_WAYS = pytest.mark.parametrize("way", [{}, {"tls": True}, {"passwords": True}], ids=["plain", "TLS", "passwords"])


@_WAYS
async def test_a_failover_in_the_middle_of_a_job(sandbox: Sandbox, way: dict[str, bool]) -> None:
    """The master dies, Sentinel names the replica, the worker follows: every row ends once, and
    nobody has two mails.
    """
    with run_guarded(**way) as guarded:
        async with open_site(guarded.url, sandbox) as site:
            site.sandbox.ask("latency", {"latency": "0.3"})
            job = await site.desk.load(300)
            site.start_worker()
            await site.some(job, 100)
            await site.rows_on_the_wire(job)
            guarded.kill_master()

            async def named() -> bool:
                return guarded.master_port() == guarded.ports[1]

            await site.until("the replica as master", named)
            await site.all_invited_once(job, 300, 90)


@_WAYS
async def test_beat_follows_a_failover(sandbox: Sandbox, way: dict[str, bool]) -> None:
    """It goes on at the new master, with its lock there, instead of ending with a traceback."""
    with run_guarded(**way) as guarded:
        async with open_site(guarded.url, sandbox) as site:
            log, config = site.folder / "beat.log", site.folder / "usher.toml"
            config.write_text(config.read_text() + '[schedules.often]\ntask = "check_connections"\nevery = "1h"\n')
            env = plain_environment(USHER_CONFIG=str(config), HOME=str(site.folder))
            timetable = Timetable(site.desk.client, site.desk.keys)
            with running((*CELERY, "beat", "-l", "INFO"), log, env, site.folder) as beat:
                await site.until("a beat at work", timetable.has_beat)
                guarded.kill_master()

                async def is_back() -> bool:
                    return "Redis is back" in log.read_text() or beat.poll() is not None

                await site.until("a beat that is back", is_back, 40)
                assert beat.poll() is None, log.read_text()
                await site.until("its lock at the new master", timetable.has_beat)
                assert set(await timetable.all()) == {"often"}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_producer_hears_the_answer(sandbox: Sandbox, tls: bool) -> None:
    """Celery's own spelling of it, as docs/producers.md gives it: the message goes by the master,
    the result comes from there.
    """
    with run_guarded(tls=tls) as guarded:
        async with open_site(guarded.url, sandbox) as site:
            site.start_worker()
            place = f"sentinel://127.0.0.1:{guarded.sentinel_port}/0"
            options: dict[str, Any] = {"master_name": "mymaster"}
            with Celery("portal", broker=place, backend=place, set_as_current=False) as portal:
                if tls:
                    trust = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(guarded.trust)}
                    portal.conf.update(broker_use_ssl=trust, redis_backend_use_ssl=trust)
                    options["sentinel_kwargs"] = {"ssl": True, **trust}
                prefix = site.desk.keys.prefix
                portal.conf.broker_transport_options = {"global_keyprefix": f"{prefix}:mq:", **options}
                portal.conf.result_backend_transport_options = {"global_keyprefix": f"{prefix}:res:", **options}
                sent = portal.send_task("usher.invite_guest", ["contoso", "ann@partner.example"])
                answer = await asyncio.to_thread(sent.get, timeout=90)
            assert answer["status"] == "invited"


async def test_with_tls_nobody_is_believed_unseen() -> None:
    """Neither a Sentinel without its authority, nor a server behind one that is trusted, nor a
    Sentinel that speaks no TLS.
    """
    with run_guarded(tls=True) as guarded:
        strange = open_client(guarded.url.partition("?")[0], tries=0)
        with pytest.raises(redis.exceptions.ConnectionError, match="No master found"):
            await strange.ping()
        await strange.aclose()
        known = open_client(guarded.url, tries=0)
        assert await known.ping()
        pool: Any = known.connection_pool
        del pool.connection_kwargs["ssl_ca_certs"]  # of the servers, not of the Sentinels
        await known.connection_pool.disconnect()
        pool.reset()
        with pytest.raises(redis.exceptions.ConnectionError, match="(?i)certificate"):
            await known.ping()
        await known.aclose()
    with run_guarded() as guarded:
        plain = open_client(guarded.url.replace("sentinel://", "sentinels://"), tries=0)
        with pytest.raises(redis.exceptions.ConnectionError):
            await plain.ping()
        await plain.aclose()


async def test_each_sentinel_is_asked_once_and_then_the_next() -> None:
    """Where the first of them is gone with its host, nobody waits for it by tries."""
    callers = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = open_client(f"sentinel://127.0.0.1:{port}/mymaster/0", tries=0)
        with pytest.raises(redis.exceptions.ConnectionError, match="No master found"):
            await client.ping()
        await client.aclose()
    assert len(callers) == 1
