"""10,000 tenants of one application on one worker, ten of them at work: what do the idle ones cost?

*load*: `connections_file` read, and read again after one line has changed. *list*: `usher
connections list`. Then a worker and a beat that have nothing to do, and ten busy connections, each
beside more and more idle ones, all of which had jobs before: processor seconds, Redis commands
(those inside scripts counted) and memory; and what a scrape of `usher metrics` takes. The bar:
beside 9,990 idle connections no row costs more than beside none.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import show
from benchmarks.stage import Stage, describe_machine, load_job, open_stage, rss_mb_of, wait_for_end
from config.reader import load_settings
from worker.ledger.keys import Keys
from worker.metrics.snapshot import Observer
from worker.store.client import open_client

SIZES = tuple(int(n) for n in os.environ.get("USHER_BENCH_TENANTS", "10,1000,10000").split(","))
BUSY = 10
ROWS_EACH = 1_000
IDLE_S = 11.0
"""Longer than two rounds of what is done every five seconds."""
RELOADS = 5
_LIST = "USHER_CONNECTIONS_FILE"


def measure(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Read and list the most, then run beside each size; returns figures by name."""
    cases = []
    with open_stage(tenants=BUSY, sandbox=("--shared-app",)) as stage:
        tenants = _share_one_application(stage)
        tenants.write(max(sizes))
        found = _load(stage, tenants, max(sizes)) | _list(stage)
        show([found])
        for size in sizes:
            tenants.write(size)
            cases.append({"connections": size, **asyncio.run(_run(stage, tenants, size))})
            show(cases[-1:]) if len(cases) == 1 else print("  ".join(map(str, cases[-1].values())), flush=True)
    return {**found, "cases": cases}


@dataclass(frozen=True, slots=True)
class Tenants:
    """The list of connections; the first lines are tenants of the sandbox, the others nobody's."""

    path: Path
    real: Sequence[str]

    def write(self, size: int, tag: str = "eu") -> None:
        """Write so many lines; `tag`: of the last."""
        ids = [*self.real, *(str(uuid.UUID(int=4 << 76 | 8 << 60 | n)) for n in range(len(self.real), size))]
        lines = [f"t{n},{tenant},msp,eu,false" for n, tenant in enumerate(ids[:-1])]
        last = f"t{size - 1},{ids[-1]},msp,{tag},false"
        self.path.write_text("\n".join(["name,tenant_id,app,tags,precheck", *lines, last, ""]))


def _share_one_application(stage: Stage) -> Tenants:
    """Take the stage's connections out of its configuration, and name their application there and
    a list.
    """
    one = load_settings(stage.env).connection(stage.connections[0])
    app = {"client_id": one.client_id, "client_secret": str(one.client_secret[0])}
    app |= {"authority": one.authority.rpartition("/")[0], "graph_url": one.graph_url, "ca_file": one.ca_file or ""}
    config = stage.folder / "usher.toml"
    kept = config.read_text().partition("[connections.")[0]
    config.write_text("\n".join([kept, "[apps.msp]", *(f'{key} = "{value}"' for key, value in app.items())]))
    tenants = Tenants(stage.folder / "tenants.csv", stage.tenant_ids)
    stage.env[_LIST] = str(tenants.path)
    return tenants


def _load(stage: Stage, tenants: Tenants, size: int) -> dict[str, Any]:
    """Read the list, and again and again with one line changed."""
    load_settings({**stage.env, _LIST: str(_small(stage, tenants))})  # imports and first uses
    gc.collect()
    before_mb, began, used_s = rss_mb_of(os.getpid()), time.monotonic(), time.process_time()
    settings = load_settings(stage.env)
    found: dict[str, Any] = {
        "load s": round(time.monotonic() - began, 3),
        "load CPU s": round(time.process_time() - used_s, 3),
        "load MB": round(rss_mb_of(os.getpid()) - before_mb, 1),
    }
    used, held = [], []
    for n in range(RELOADS):
        tenants.write(size, tag=f"eu{n}")
        used_s = time.process_time()
        settings = load_settings(stage.env)
        used.append(time.process_time() - used_s)
        held.append(rss_mb_of(os.getpid()))
    if len(settings.connections) != size:
        raise RuntimeError("the list was not read whole")
    return {
        **found,
        "reload CPU s": round(max(used), 3),
        "first reload MB": round(held[0] - before_mb, 1),
        "last reload MB": round(held[-1] - before_mb, 1),
    }


def _small(stage: Stage, tenants: Tenants) -> Path:
    small = Tenants(stage.folder / "small.csv", tenants.real)
    small.write(BUSY)
    return small.path


def _list(stage: Stage) -> dict[str, Any]:
    """Run `usher connections list`."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "connections", "list"], env=stage.env, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = process.stdout.read().count(b"\n")
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("connections list failed")
    return {
        "list s": round(took, 2),
        "list CPU s": round(used.ru_utime + used.ru_stime, 2),
        "list MB": round(used.ru_maxrss / 1024),
        "list lines": lines,
    }


async def _run(stage: Stage, tenants: Tenants, size: int) -> dict[str, Any]:
    """Start a worker and a beat beside so many connections; returns what they cost idle and at
    work.
    """
    client: Any = open_client(load_settings(stage.env).redis.url or "")
    await _let_all_have_had_jobs(client, size)
    stage.env[_LIST] = str(tenants.path)
    stage.start_worker()
    stage.start_beat()
    stage.env[_LIST] = str(_small(stage, tenants))  # what loads the rows is not measured, and need not read all
    await _do_jobs(stage, ROWS_EACH)  # tokens, TLS, first uses, and the index of guests has begun
    await asyncio.sleep(1)
    before, began = await _used(stage, client), time.monotonic()
    await asyncio.sleep(IDLE_S)
    idle, seconds = await _used(stage, client), time.monotonic() - began
    found = {f"idle {name}/s": round((idle[name] - before[name]) / seconds, 4) for name in idle}
    await _do_jobs(stage, ROWS_EACH)
    worked = await _used(stage, client)
    thousands = BUSY * ROWS_EACH / 1000
    found |= {f"{name}/1,000 rows": round((worked[name] - idle[name]) / thousands, 4) for name in worked}
    found["worker MB"] = round(stage.rss_mb("worker"), 1)
    found |= await _scrape(stage, tenants, client)
    for part in ("beat", "worker"):
        stage.stop(part)
    await client.aclose()
    return found


async def _scrape(stage: Stage, tenants: Tenants, client: Any) -> dict[str, Any]:
    """Look at everything as `usher metrics` does for each scrape, the second time."""
    settings = load_settings({**stage.env, _LIST: str(tenants.path)})
    observer = Observer(client, Keys(), lambda: settings)
    await observer.look()
    before, began, used_s = await _commands(client), time.monotonic(), time.process_time()
    await observer.look()
    return {
        "scrape commands": await _commands(client) - before,
        "scrape s": round(time.monotonic() - began, 2),
        "scrape CPU s": round(time.process_time() - used_s, 2),
    }


async def _let_all_have_had_jobs(client: Any, size: int) -> None:
    """Leave in the ledger what finished jobs leave there of each connection."""
    keys = Keys()
    async with client.pipeline(transaction=False) as pipe:
        for n in range(size):
            pipe.sadd(keys.connections(), f"t{n}")
            pipe.hset(keys.connection(f"t{n}"), mapping={"clean": 5, "accepted": 100, "ended:i": 100, "finished": 1})
        await pipe.execute()


async def _do_jobs(stage: Stage, rows: int) -> None:
    jobs = [await load_job(stage, name, rows) for name in stage.connections]
    for job in jobs:
        await job.start(stage)
    await wait_for_end(stage, [job.job for job in jobs])


async def _used(stage: Stage, client: Any) -> dict[str, float]:
    """Return what was used so far: processor seconds of each part, and Redis commands."""
    parts = {"worker": "worker CPU", "beat": "beat CPU", "valkey": "Redis CPU"}
    used = {told: stage.cpu_s(part) for part, told in parts.items()}
    return {**used, "commands": await _commands(client)}


async def _commands(client: Any) -> int:
    return int((await client.info("stats"))["total_commands_processed"])


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    return measure()


if __name__ == "__main__":
    main()
