"""A site for tests with real workers: a ledger of its own, a configuration file, the sandbox, and
the workers a test starts.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers import Desk, open_desk
from tests.processes import (
    CELERY,
    Ended,
    deadline_of,
    plain_environment,
    run_command,
    running,
    running_celery,
    wait_until,
)
from tests.sandboxes import Sandbox, connection_table
from tests.servers import start_valkey, stop_valkey
from worker.channels import INVITE, name_channel
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, Lane, Options
from worker.store.client import OUTAGE


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL: nothing is given back, nothing is said."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


QUOTA = '[quota]\ninvitations_per_tenant = "100000/1s"\n'
"""What takes time is the sandbox's latency."""

WITH_AND_WITHOUT_PRECHECK = pytest.mark.parametrize(
    "site", [{"precheck": "true"}, {"precheck": "false"}], ids=["precheck", "no precheck"], indirect=True
)


@dataclass
class Site:
    """A ledger of its own, a configuration file, and the workers that a test starts."""

    url: str  # of its Redis
    desk: Desk
    folder: Path
    sandbox: Sandbox
    stack: ExitStack
    secret: Path
    workers: int = field(default=0)

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes."""
        return plain_environment(USHER_CONFIG=str(self.folder / "usher.toml"), HOME=str(self.folder))

    def run(self, *arguments: str, **env: str) -> Ended:
        """Run a command to its end, without a terminal."""
        return run_command(arguments, self.env | env, self.folder)

    def start_worker(
        self,
        threads: int = 4,
        config: str = "usher.toml",
        level: str = "INFO",
        more_env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        include: str = "",
    ) -> subprocess.Popen[bytes]:
        """Start one more worker, by the command `before` it, and wait until it is ready. `include`:
        a module it imports. It has a seat for every thread but one in four.
        """
        self.workers += 1
        log = self.log_of(self.workers)
        name = f"w{self.workers}@{self.desk.keys.prefix}"
        options: tuple[str, ...] = (
            "worker",
            "-c",
            str(threads),
            "-n",
            name,
            "-l",
            level,
            "--without-mingle",
            "--without-gossip",
        )
        options += ("-I", include) if include else ()
        env = self.env | {"USHER_CONFIG": str(self.folder / config)} | dict(more_env or {})
        started = (
            running((*before, *CELERY, *options), log, env, self.folder)
            if before
            else running_celery(options, log, env, self.folder)
        )
        process = self.stack.enter_context(started)
        if not before:  # a warm stop takes a second, and is what other tests are about
            self.stack.callback(process.kill)
        wait_until(lambda: " ready." in log.read_text() or process.poll() is not None, 30, "a worker that is ready")
        assert process.poll() is None, log.read_text()
        return process

    def log_of(self, number: int) -> Path:
        """Where a worker's output goes."""
        return self.folder / f"worker{number}.log"

    async def load(
        self,
        rows: Sequence[str | Mapping[str, Any]],
        *,
        job: str = "",
        connection: str = "contoso",
        options: Options | None = None,
        lane: Lane = Lane.BULK,
        operation: str = INVITE,
    ) -> str:
        """Submit a list of addresses, or of whole rows, as a job; returns its id."""
        self.desk.made += 1
        loading = await self.desk.jobs.create(
            job or f"l{self.desk.made}", name_channel(connection, operation), lane, options=options or Options()
        )
        assert loading is not None
        for row in rows:
            loading.put({"email": row} if isinstance(row, str) else dict(row))
        await self.desk.jobs.start(loading)
        return loading.id

    async def until(
        self, what: str, look: Callable[[], Awaitable[Any]], within_s: float = 20, every_s: float = 0.02
    ) -> Any:
        """Return the first true answer, whether or not Redis is there all the time; fail with the
        workers' logs after `within_s`.
        """
        deadline_s = deadline_of(within_s)
        while time.monotonic() < deadline_s:
            with suppress(*OUTAGE):
                if found := await look():
                    return found
            await asyncio.sleep(every_s)
        logs = "\n".join(self.log_of(n + 1).read_text()[-3000:] for n in range(self.workers))
        raise AssertionError(f"not within {within_s:g} s: {what}\n{logs}")

    async def view(self, job: str) -> JobView:
        """Return a job as it stands."""
        view = await self.desk.jobs.view(job)
        assert view is not None
        return view

    async def some(self, job: str, least: int, within_s: float = 20) -> JobView:
        """Wait until so many rows have ended, but not all."""

        async def look() -> JobView | None:
            view = await self.view(job)
            return view if view.counts.finished >= least else None

        view: JobView = await self.until(f"{least} rows of {job}", look, within_s)
        assert view.counts.pending, "the job was over too soon for this test"
        return view

    async def ended(self, job: str, within_s: float = 30) -> JobView:
        """Wait until nothing more happens to a job."""

        async def look() -> JobView | None:
            view = await self.view(job)
            return view if view.ended else None

        # What has ended stays so: to ask less often leaves the processor to the workers
        view: JobView = await self.until(f"the end of {job}", look, within_s, every_s=0.05)
        return view

    async def results(self, job: str) -> list[dict[str, Any]]:
        """Return a job's results, row by row."""
        return [record async for record in self.desk.jobs.rows.results(job)]

    async def letters(self, job: str) -> str:
        """Return the letters of all rows of a job (`worker.ledger.model.RowState`)."""
        return "".join([await self.desk.letters(job, n) for n in range((await self.view(job)).chunks)])

    async def rows_on_the_wire(self, job: str) -> None:
        """Wait until a batch has been begun and its answer is not yet recorded."""

        async def look() -> bool:
            return "s" in await self.letters(job)

        await self.until("rows on the wire", look)

    async def send_more(self, job: str, rows: int) -> None:
        """Wait until so many rows have been sent and have ended that were not even marked a moment
        ago, and others are on the wire.
        """
        letters = await self.letters(job)
        await self.some(job, letters.count("i") + letters.count("s") + rows)
        await self.rows_on_the_wire(job)

    async def delete_keys(self, *areas: str) -> int:
        """Delete every key of the broker (area "mq") or of Celery's results ("res"). Returns how
        many there were.
        """
        client: Any = self.desk.client
        names = [name for area in areas async for name in client.scan_iter(match=f"{self.desk.keys.prefix}:{area}:*")]
        return int(await client.delete(*names)) if names else 0

    async def all_invited_once(self, job: str, rows: int, within_s: float = 30) -> None:
        """Wait for the end of the sandbox's only job: every row invited, everybody mailed, nobody
        twice.
        """
        view = await self.ended(job, within_s)
        assert view.counts == Counts(rows=rows, done=rows)
        self.assert_all_mailed_once(rows)

    def assert_all_mailed_once(self, rows: int) -> None:
        """The sandbox's own ledger: everybody one mail, nobody two."""
        mails = self.sandbox.ask("stats")["mails"]
        assert (mails["total"], mails["addresses"], mails["more_than_once"]) == (rows, rows, 0), mails


@asynccontextmanager
async def open_site(
    url: str,
    sandbox: Sandbox,
    *,
    latency: str = "0.1",
    replication: str = "0-0.3",
    roles: Sequence[str] = (),
    quota: str = QUOTA,
    lease_s: float = 1,
    settle_s: float = 4,
    timeout_s: float = 2,
    **table: str,
) -> AsyncIterator[Site]:
    """Open a place to work in, on a Redis and a freshly reset sandbox; what was started in it is
    ended.

    `latency`, `replication`: of the sandbox, in the notation of its options. `roles`: what its
    application may do, where that is not the default. `table`: more lines of the connection's
    table, TOML values by key.
    """
    sandbox.ask("reset", {})
    sandbox.ask("reopen", {})
    sandbox.ask("latency", {"latency": latency, "replication": replication})
    if roles:
        sandbox.ask("policy", {"roles": [*roles]})
    folder = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        secret = folder / "secret"
        secret.write_text(sandbox.secret)
        async with open_desk(url, lease_s=lease_s, settle_s=settle_s) as desk:
            connection = connection_table("contoso", sandbox.ready, client_secret=f'"file:{secret}"', **table)
            (folder / "usher.toml").write_text(
                f'[redis]\nurl = "{url}"\n[ledger]\nprefix = "{desk.keys.prefix}"\n'
                f"lease_s = {lease_s}\nsettle_s = {settle_s}\n[graph]\ntimeout_s = {timeout_s}\n{quota}{connection}"
            )
            yield Site(url, desk, folder, sandbox, stack, secret)


@dataclass
class OwnValkey:
    """A server of one test's own, with an append-only file, to be killed, frozen and started again
    on the same data.
    """

    folder: Path
    process: subprocess.Popen[bytes]
    url: str

    @classmethod
    def begin(cls) -> OwnValkey:
        """Start one on an empty folder."""
        folder = Path(tempfile.mkdtemp(prefix="ua-", dir="/tmp"))
        return cls(folder, *_start_with_file(folder))

    def kill(self) -> None:
        """SIGKILL, as a host's memory killer does."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start on what the file holds; returns when it answers."""
        self.process, _ = _start_with_file(self.folder)

    def copy(self) -> Path:
        """Copy its data as they are now: every write that was answered is in the file."""
        copy = Path(tempfile.mkdtemp(prefix="copy-", dir=self.folder))
        shutil.copytree(self.folder / "appendonlydir", copy / "appendonlydir")
        return copy

    def put_back(self, copy: Path) -> None:
        """Kill it, and start it on what a copy holds: as a replica would that had lagged, or a
        restored backup.
        """
        self.kill()
        shutil.rmtree(self.folder / "appendonlydir")
        shutil.copytree(copy / "appendonlydir", self.folder / "appendonlydir")
        self.start_again()

    def freeze(self) -> None:
        """Stop it where it is; its connections stay open."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        """End it, whatever state it is in, and remove its data."""
        with suppress(ProcessLookupError):
            self.thaw()
        stop_valkey(self.process)
        shutil.rmtree(self.folder)


def _start_with_file(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    return start_valkey(folder, "--appendonly", "yes", "--appendfsync", "everysec")
