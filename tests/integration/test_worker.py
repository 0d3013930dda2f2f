"""Real Celery workers on a real Valkey against the sandbox over HTTPS: nothing lost, nobody mailed twice, whatever stops."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.producers_fixtures import (
    CELERY,
    Sandbox,
    connection_table,
    plain_environment,
    run_sandbox,
    running,
    wait_until,
)
from tests.ledgers import Desk, open_desk
from worker.gates import HoldReason
from worker.jobs import JobView
from worker.model import Counts, JobState

LEDGER = "lease_s = 1\nsettle_s = 4\n[graph]\ntimeout_s = 2\n"
"""Times small enough to be waited for."""
QUOTA = '[quota]\ninvitations_per_tenant = "100000/1s"\n'
"""What takes time here is the sandbox's latency."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for the module, with a short path."""
    path = Path(tempfile.mkdtemp(prefix="uw-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox for the module; each test resets it."""
    with run_sandbox(folder, "--quota", "off", "--replication", "0-0.3") as sandbox:
        yield sandbox


@dataclass
class Site:
    """A ledger of its own, a configuration file, and the workers that a test starts."""

    desk: Desk
    folder: Path
    sandbox: Sandbox
    stack: ExitStack
    secret: Path
    workers: int = field(default=0)

    def start_worker(self, threads: int = 4) -> subprocess.Popen[bytes]:
        """Start one more worker and wait until it is ready. It has a seat for every thread but one in four."""
        self.workers += 1
        log = self.log_of(self.workers)
        name = f"w{self.workers}@{self.desk.keys.prefix}"
        options = ("worker", "-c", str(threads), "-n", name, "-l", "INFO", "--without-mingle", "--without-gossip")
        env = plain_environment(USHER_CONFIG=str(self.folder / "usher.toml"), HOME=str(self.folder))
        process = self.stack.enter_context(running((*CELERY, *options), log, env, self.folder))
        wait_until(lambda: " ready." in log.read_text() or process.poll() is not None, 30, "a worker that is ready")
        assert process.poll() is None, log.read_text()
        return process

    def log_of(self, number: int) -> Path:
        """Where a worker's output goes."""
        return self.folder / f"worker{number}.log"

    async def until(self, what: str, look: Callable[[], Awaitable[Any]], within_s: float = 20) -> Any:
        """Return the first true answer; fail with the workers' logs after `within_s`."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            if found := await look():
                return found
            await asyncio.sleep(0.02)
        logs = "\n".join(self.log_of(n + 1).read_text()[-3000:] for n in range(self.workers))
        raise AssertionError(f"not within {within_s:g} s: {what}\n{logs}")

    async def view(self, job: str) -> JobView:
        """Return a job as it stands."""
        view = await self.desk.jobs.view(job)
        assert view is not None
        return view

    async def some(self, job: str, least: int) -> JobView:
        """Wait until so many rows have ended, but not all."""

        async def look() -> JobView | None:
            view = await self.view(job)
            return view if view.counts.finished >= least else None

        view: JobView = await self.until(f"{least} rows of {job}", look)
        assert view.counts.pending, "the job was over too soon for this test"
        return view

    async def ended(self, job: str, within_s: float = 30) -> JobView:
        """Wait until nothing more happens to a job."""

        async def look() -> JobView | None:
            view = await self.view(job)
            return view if view.ended else None

        view: JobView = await self.until(f"the end of {job}", look, within_s)
        return view

    def assert_all_mailed_once(self, rows: int) -> None:
        """The sandbox's own ledger: everybody one mail, nobody two."""
        stats = self.sandbox.ask("stats")
        mails = stats["mails"]
        assert (mails["total"], mails["addresses"], mails["more_than_once"]) == (rows, rows, 0), mails


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A place to work in; what was started in it is ended."""
    sandbox.ask("reset", {})
    sandbox.ask("latency", {"latency": "0.1"})
    folder = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        secret = folder / "secret"
        secret.write_text(sandbox.secret)
        async with open_desk(valkey_url, lease_s=1, settle_s=4) as desk:
            table = connection_table("contoso", sandbox.ready, client_secret=f'"file:{secret}"')
            (folder / "usher.toml").write_text(
                f'[redis]\nurl = "{valkey_url}"\n[ledger]\nprefix = "{desk.keys.prefix}"\n{LEDGER}{QUOTA}{table}'
            )
            yield Site(desk, folder, sandbox, stack, secret)


async def test_two_workers_share_a_job_and_a_warm_stop_loses_nothing(site: Site) -> None:
    """The worker that is stopped ends after its batch in flight and gives the rest back; everybody is mailed once."""
    first, _ = site.start_worker(), site.start_worker()
    job = await site.desk.load(500)
    await site.some(job, 100)
    asked_s = time.monotonic()
    first.send_signal(signal.SIGTERM)
    await asyncio.to_thread(first.wait, 10)
    assert first.returncode == 0
    assert time.monotonic() - asked_s < 5
    view = await site.ended(job)
    assert view.counts == Counts(rows=500, invited=500)
    site.assert_all_mailed_once(500)
    for number in (1, 2):
        assert f"job {job} chunk " in site.log_of(number).read_text(), "both took part"
    assert site.sandbox.ask("stats")["tokens_issued"] <= 2


async def test_a_warm_stop_ends_after_the_batch_in_flight(site: Site) -> None:
    """Its answers are recorded, nothing is left in doubt, the rest of the chunk waits for another worker."""
    worker = site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(100)
    await site.some(job, 20)
    worker.send_signal(signal.SIGTERM)
    await asyncio.to_thread(worker.wait, 10)
    view = await site.view(job)
    assert worker.returncode == 0
    assert view.counts.invited <= 60
    assert set(await site.desk.letters(job)) == {"i", "."}
    site.assert_all_mailed_once(view.counts.invited)
    assert len(await site.desk.tick("another", 4)) == 1


async def test_the_broker_may_lose_everything_at_any_time(site: Site) -> None:
    """Every broker key deleted, again and again while a job runs: the job completes, nothing is sent twice."""
    site.start_worker()
    job = await site.desk.load(300)
    mq = f"{site.desk.keys.prefix}:mq:"
    client: Any = site.desk.client
    await client.brpop([f"{mq}usher.bulk"], timeout=5)  # a message that nobody will ever see
    await site.desk.make_past(site.desk.keys.offers())  # (its offer is void after 15 s; not waited for here)
    for least in (20, 60, 100, 140):
        await site.some(job, least)
        names = [name async for name in client.scan_iter(match=f"{mq}*")]
        if names:
            await client.delete(*names)
    view = await site.ended(job, 40)
    assert view.counts == Counts(rows=300, invited=300)
    site.assert_all_mailed_once(300)


async def test_a_killed_worker_costs_seconds_and_doubles_nothing(site: Site) -> None:
    """SIGKILL with batches on the wire: another worker goes on, rows on the wire are looked up, nobody is mailed twice."""
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
    view = await site.ended(job)
    assert view.counts == Counts(rows=120, invited=120)
    site.assert_all_mailed_once(120)


async def test_lost_answers_are_looked_up_and_nobody_is_mailed_twice(site: Site) -> None:
    """Connections that break after Graph did its work, and 504s either way: each row ends invited, with one mail."""
    site.sandbox.ask("faults", {"spec": "lost@batch=1/4,504@item@invite=1/9"})
    site.sandbox.ask("latency", {"latency": "0"})
    site.start_worker()
    job = await site.desk.load(200)
    view = await site.ended(job, 40)
    assert view.counts == Counts(rows=200, invited=200)
    site.assert_all_mailed_once(200)


async def test_a_wrong_secret_holds_and_a_right_one_ends_the_hold(site: Site) -> None:
    """The rows wait, the sentence says why; when the file is corrected the job goes on by itself."""
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
    view = await site.ended(job, 12)
    assert view.counts == Counts(rows=30, invited=30)
    site.assert_all_mailed_once(30)


async def test_pause_resume_and_cancel_act_within_a_batch(site: Site) -> None:
    """After a pause at most the batches in flight end; resume goes on; after a cancel the rest is cancelled, unsent."""
    site.start_worker()
    job = await site.desk.load(500)
    await site.some(job, 20)
    await site.desk.jobs.pause(job, "a test")

    async def quiet() -> bool:
        return (await site.view(job)).open == 0

    await site.until("the batches in flight", quiet)
    paused = await site.view(job)
    mails = site.sandbox.ask("stats")["mails"]["total"]
    assert paused.state is JobState.PAUSED
    assert paused.counts.invited == mails
    await site.desk.tick("looker", 0)  # a moment in which nothing may happen
    assert (await site.view(job)).counts == paused.counts
    await site.desk.jobs.resume(job)
    await site.some(job, paused.counts.invited + 20)
    await site.desk.jobs.cancel(job)
    view = await site.ended(job)
    assert view.state is JobState.CANCELLED
    assert view.counts.cancelled > 0
    assert view.counts.invited + view.counts.cancelled == 500
    site.assert_all_mailed_once(view.counts.invited)


async def test_one_connections_trouble_is_not_anothers(site: Site) -> None:
    """While one connection cannot sign in and another is unknown to the worker, a third runs at full speed."""
    table = connection_table("fabrikam", site.sandbox.ready, client_secret='"file:/nonexistent/secret"')
    with (site.folder / "usher.toml").open("a") as file:
        file.write(table)
    site.start_worker()
    stuck = await site.desk.load(300, "fabrikam")
    unknown = await site.desk.load(300, "nobody")
    job = await site.desk.load(100)
    view = await site.ended(job, 10)
    assert view.counts == Counts(rows=100, invited=100)
    assert (await site.view(stuck)).state is JobState.HELD
    assert (await site.view(unknown)).counts.pending == 300
