"""Which of Celery's pools, how many seats: the measurement behind docs/decisions/0003-pool.md.

Two cases. *fast*: no latency, no quota, what a row costs. *slow*: 24 tenants whose answers take
half a second, where seats count.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.stage import Stage, describe_machine, enqueue, open_stage, wait_for_end

_POOLS = (
    ("threads -c 64", ("-P", "threads", "-c", "64")),
    ("threads -c 16", ("-P", "threads", "-c", "16")),
    ("prefork -c 16", ("-P", "prefork", "-c", "16")),
    ("prefork -c 4", ("-P", "prefork", "-c", "4")),
)


def main() -> None:
    """Print a table: rows/s, processor seconds per 1,000 rows (worker and Valkey), memory, for each
    pool and case.
    """
    print(describe_machine())
    print(f"{'pool':16}{'case':8}{'rows':>8}{'rows/s':>10}{'worker CPU-s/1,000':>20}{'Valkey':>8}{'RSS MB':>8}")
    for name, options in _POOLS:
        for case, tenants, rows, sandbox in (("fast", 8, 2500, ()), ("slow", 24, 400, ("--latency", "0.5"))):
            with open_stage(tenants=tenants, sandbox=sandbox) as stage:
                stage.start_worker(*options)
                rate, worker_cpu, valkey_cpu, rss = asyncio.run(_run(stage, rows))
                print(
                    f"{name:16}{case:8}{tenants * rows:8}{rate:10.0f}{worker_cpu:20.3f}{valkey_cpu:8.3f}{rss:8.0f}",
                    flush=True,
                )


async def _run(stage: Stage, rows: int) -> tuple[float, float, float, float]:
    await wait_for_end(stage, [await enqueue(stage, name, 20) for name in stage.connections])  # tokens, TLS, imports
    worker_s, valkey_s, began = stage.cpu_s("worker"), stage.cpu_s("valkey"), time.monotonic()
    jobs = await asyncio.gather(*(enqueue(stage, name, rows) for name in stage.connections))
    await wait_for_end(stage, jobs)
    took = time.monotonic() - began
    thousands = rows * len(stage.connections) / 1000
    rss = stage.rss_mb("worker")
    return (
        thousands * 1000 / took,
        (stage.cpu_s("worker") - worker_s) / thousands,
        (stage.cpu_s("valkey") - valkey_s) / thousands,
        rss,
    )


if __name__ == "__main__":
    main()
