"""A worker on Valkey behind Sentinel, by configuration alone: the same promises through a failover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import run_guarded
from tests.processes import CELERY, plain_environment, running
from tests.sandboxes import Sandbox, run_sandbox
from tests.sites import open_site
from worker.model import Counts
from worker.timetable import Timetable


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox for the module; each site resets it."""
    with run_sandbox(folder, "--quota", "off", "--replication", "0-0.3") as sandbox:
        yield sandbox


async def test_a_failover_in_the_middle_of_a_job(sandbox: Sandbox) -> None:
    """The master dies, Sentinel names the replica, the worker follows: every row ends once, and nobody has two mails."""
    with run_guarded() as guarded:
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
            view = await site.ended(job, 90)
            assert view.counts == Counts(rows=300, invited=300)
            site.assert_all_mailed_once(300)


async def test_beat_follows_a_failover(sandbox: Sandbox) -> None:
    """It goes on at the new master, with its lock there, instead of ending with a traceback."""
    with run_guarded() as guarded:
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
