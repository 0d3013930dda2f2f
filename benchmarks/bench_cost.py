"""What a row costs where neither quota nor latency limits: processor seconds, rows a second, Redis
bytes and commands a row.

Real workers, the full ledger, one tenant. Each case runs 10,000 and 100,000 rows; CPU a row is the
difference divided by 90,000, all of usher's processes and Redis counted, so that start-up is
counted apart. The sandbox's own share is shown beside it and is not usher's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
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
from config.reader import load_settings

SIZES = tuple(int(n) for n in os.environ.get("USHER_BENCH_ROWS", "10000,100000").split(","))


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
    cases = (("precheck off", False, 1), ("precheck on", True, 1), ("precheck off, two workers", False, 2))
    return {name: measure_case(precheck, workers, SIZES) for name, precheck, workers in cases}


def measure_case(precheck: bool, workers: int, sizes: Sequence[int], warm: int = 2_000) -> dict[str, Any]:
    """Run two jobs one after the other, once `warm` rows went through: TLS, tokens, code paths, and
    the index of guests has begun.
    """
    with open_stage(precheck=precheck) as stage:
        began = time.monotonic()
        stage.start_worker()
        asyncio.run(_first(stage))
        start_s, start_cpu_s = time.monotonic() - began, stage.cpu_s("worker")
        for number in range(1, workers):
            stage.start_worker(name=f"worker{number + 1}")
        asyncio.run(_job(stage, warm))
        small, large = (asyncio.run(_job(stage, rows)) for rows in sizes)
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
        "seconds_to_first_invitation": start_s,
        "cpu_s_to_first_invitation": start_cpu_s,
    }


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    found = measure()
    for name, figures in found.items():
        print(f"-- {name}")
        for key, value in figures.items():
            print(f"{key:30}{value if isinstance(value, dict) else round(value, 3)}", flush=True)
    return found


async def _first(stage: Stage) -> None:
    await wait_for_end(stage, [await enqueue(stage, stage.connections[0], 1)])


async def _job(stage: Stage, rows: int) -> Run:
    from worker.store.client import open_client

    client: Any = open_client(load_settings(stage.env).redis.url or "")
    loaded = await load_job(stage, stage.connections[0], rows)
    index = await index_bytes(stage)
    before = _used(stage)
    commands = (await client.info("stats"))["total_commands_processed"]
    began = time.monotonic()
    await loaded.start(stage)
    await wait_for_end(stage, [loaded.job])
    seconds = time.monotonic() - began
    used = [now - past for now, past in zip(_used(stage), before, strict=True)]
    commands = (await client.info("stats"))["total_commands_processed"] - commands
    await client.aclose()
    worker_s, redis_s, sandbox_s = used
    finished_bytes, index = await chunk_bytes(stage, loaded.job), await index_bytes(stage) - index
    return Run(rows, seconds, worker_s, redis_s, sandbox_s, commands, loaded.bytes, finished_bytes, index)


def _used(stage: Stage) -> tuple[float, float, float]:
    """Return the processor seconds of all workers, of Redis, and of the sandbox."""
    workers = sum(stage.cpu_s(name) for name in stage.processes if name.startswith("worker"))
    return workers, stage.cpu_s("valkey"), stage.cpu_s("sandbox")
