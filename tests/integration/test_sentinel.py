"""A worker on Valkey behind Sentinel, by configuration alone: the same promises through a failover."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import run_guarded
from tests.integration.producers_fixtures import Sandbox, run_sandbox
from tests.sites import open_site
from worker.model import Counts


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox for the module; each site resets it."""
    folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
    with run_sandbox(folder, "--quota", "off", "--replication", "0-0.3") as sandbox:
        yield sandbox
    shutil.rmtree(folder)


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
