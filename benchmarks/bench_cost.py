"""What a row costs where neither quota nor latency limits: processor seconds, rows a second, Redis bytes and commands a row.

Real workers, the full ledger, one tenant. Each case runs 10,000 and 100,000 rows; CPU a row is the difference divided by 90,000, all of
usher's processes and Redis counted, so that start-up is counted apart. The sandbox's own share is shown beside it and is not usher's.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.stage import (
    Stage,
    chunk_bytes,
    describe_machine,
    enqueue,
    index_bytes,
    load_job,
    open_stage,
    wait_for_end,
)

SMALL, LARGE = 10_000, 100_000
_SIZES = tuple(int(n) for n in os.environ.get("USHER_BENCH_ROWS", f"{SMALL},{LARGE}").split(","))


@dataclass(frozen=True, slots=True)
class Run:
    """One job: what it took, in seconds and counts."""

    rows: int
    seconds: float
    worker_s: float
    redis_s: float
    sandbox_s: float
    commands: int
    pending_bytes: int  # of its chunks before it started
    finished_bytes: int  # of its chunks once it has ended
    index_bytes: int  # by which the index of guests has grown


def measure() -> dict[str, Any]:
    """Run both cases; returns figures by case."""
    return {name: _measure_case(precheck) for name, precheck in (("precheck off", False), ("precheck on", True))}


def _measure_case(precheck: bool) -> dict[str, Any]:
    with open_stage(precheck=precheck) as stage:
        began = time.monotonic()
        stage.start_worker()
        asyncio.run(_first(stage))
        start_s, start_cpu_s = time.monotonic() - began, stage.cpu_s("worker")
        asyncio.run(_job(stage, 2_000))  # TLS, tokens, code paths
        small, large = (asyncio.run(_job(stage, rows)) for rows in _SIZES)
    more = (large.rows - small.rows) / 1000

    def a_thousand(name: str) -> float:
        return float(getattr(large, name) - getattr(small, name)) / more

    return {
        "small": asdict(small),
        "large": asdict(large),
        "rows_per_s": large.rows / large.seconds,
        "cpu_s_per_1000": a_thousand("worker_s") + a_thousand("redis_s"),
        "worker_cpu_s_per_1000": a_thousand("worker_s"),
        "redis_cpu_s_per_1000": a_thousand("redis_s"),
        "sandbox_cpu_s_per_1000": a_thousand("sandbox_s"),
        "pending_bytes_per_row": large.pending_bytes / large.rows,
        "finished_bytes_per_row": large.finished_bytes / large.rows,
        "index_bytes_per_row": large.index_bytes / large.rows,
        "redis_commands_per_row": large.commands / large.rows,
        "first_invitation_s": start_s,
        "first_invitation_cpu_s": start_cpu_s,
    }


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    found = measure()
    for name, figures in found.items():
        print(f"-- {name}")
        for key, value in figures.items():
            print(f"{key:26}{value if isinstance(value, dict) else round(value, 3)}", flush=True)
    return found


async def _first(stage: Stage) -> None:
    await wait_for_end(stage, [await enqueue(stage, stage.connections[0], 1)])


async def _job(stage: Stage, rows: int) -> Run:
    from config import load_settings
    from worker.store import open_client

    client: Any = open_client(load_settings(stage.env).redis.url or "")
    loaded = await load_job(stage, stage.connections[0], rows)
    index = await index_bytes(stage)
    names = ("worker", "valkey", "sandbox")
    before = [stage.cpu_s(name) for name in names]
    commands = (await client.info("stats"))["total_commands_processed"]
    began = time.monotonic()
    await loaded.start(stage)
    await wait_for_end(stage, [loaded.job])
    seconds = time.monotonic() - began
    used = [stage.cpu_s(name) - past for name, past in zip(names, before, strict=True)]
    commands = (await client.info("stats"))["total_commands_processed"] - commands
    await client.aclose()
    worker_s, redis_s, sandbox_s = used
    finished_bytes, index = await chunk_bytes(stage, loaded.job), await index_bytes(stage) - index
    return Run(rows, seconds, worker_s, redis_s, sandbox_s, commands, loaded.bytes, finished_bytes, index)
