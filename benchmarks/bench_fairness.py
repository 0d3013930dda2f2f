"""A single guest in the middle of a large list on the same connection, and ten lists side by side,
at the documented quota.

*Single guests*: `usher.invite_guest` one after the other, from the producer's send to the outcome
in its hands, first on an idle worker, then while the list runs and the quota is spent to its edge.
*Ten lists*: how far each has come when a third of all rows is done.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from benchmarks.results import show
from benchmarks.stage import Stage, ask_sandbox, describe_machine, load_job, open_stage, view_job

LIST_ROWS = 1_000_000
GUESTS = 60
PAUSE_S = 0.25
LATENCY = "0.15-0.25"
TEN_ROWS = 300


def measure(list_rows: int = LIST_ROWS, guests: int = GUESTS) -> dict[str, Any]:
    """Return the latencies of single guests, idle and beside a list, and the progress of ten lists;
    at the quota, and without any.

    Each in a process of its own: a producer finds its worker through its environment, once.
    """
    found: dict[str, Any] = {"list_rows": list_rows, "ten_rows": TEN_ROWS}
    for name, quota in (("at_the_quota", True), ("no_quota", False)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[name] = pool.submit(measure_one, list_rows, guests, quota).result()
        print(
            f"{name}: ten lists of {TEN_ROWS} rows when a third of all is done: {found[name]['ten_lists']}; single"
            " guests:"
        )
        show(found[name]["guests"])
        print(f"p95 beside the list / idle: {found[name]['p95_ratio']} (bar 2 at the quota)", flush=True)
    found["met"], found["p95_ratio"] = found["at_the_quota"]["met"], found["at_the_quota"]["p95_ratio"]
    return found


def measure_one(list_rows: int, guests: int, quota: bool) -> dict[str, Any]:
    """Run one case on a stage of its own."""
    with open_stage(sandbox=("--latency", LATENCY), quota=quota, trusted=True) as stage:
        os.environ.update(stage.env)
        stage.start_worker()
        _invite(guests=5, prefix="warm")
        idle = _invite(guests, "idle")
        ten = asyncio.run(_ten_lists(stage, TEN_ROWS if quota else 10 * TEN_ROWS))
        asyncio.run(_start_list(stage, list_rows))
        time.sleep(8 if quota else 2)  # the first burst is over, the quota at its edge
        before = ask_sandbox(stage, "stats")["invited"]
        began = time.monotonic()
        busy = _invite(guests, "busy")
        speed = (ask_sandbox(stage, "stats")["invited"] - before) / (time.monotonic() - began)
    lines = [_summary("idle", idle, 0.0), _summary("beside the list", busy, speed)]
    ratio = lines[1]["p95 ms"] / lines[0]["p95 ms"]
    return {
        "guests": lines,
        "p95_ratio": round(ratio, 2),
        "ten_lists": ten,
        "met": ratio <= 2 and min(ten) >= 0.5 * max(ten),
    }


def _invite(guests: int, prefix: str) -> list[float]:
    """Invite guests one by one through Celery; returns the seconds each took."""
    from tasks import invite_guest

    took = []
    for number in range(guests):
        began = time.monotonic()
        outcome = invite_guest.delay("t0", f"{prefix}{number}@single.example").get(timeout=60, interval=0.005)
        if outcome["status"] != "invited":
            raise RuntimeError(f"a single guest ended {outcome['status']}")
        took.append(time.monotonic() - began)
        time.sleep(PAUSE_S)
    return took


async def _start_list(stage: Stage, rows: int) -> None:
    await (await load_job(stage, "t0", rows)).start(stage)


async def _ten_lists(stage: Stage, rows: int) -> list[int]:
    """Start ten lists at once; return the finished rows of each when a third of all are. They go on
    beside the large one.
    """
    lists = [await load_job(stage, "t0", rows) for _ in range(10)]
    for one in lists:
        await one.start(stage)
    while True:
        finished = [await _finished_of(stage, one.job) for one in lists]
        if sum(finished) >= rows * 10 / 3:
            return sorted(finished)
        await asyncio.sleep(0.2)


async def _finished_of(stage: Stage, job: str) -> int:
    return int((await view_job(stage, job)).counts.finished)


def _summary(name: str, seconds: list[float], speed: float) -> dict[str, Any]:
    cuts = statistics.quantiles(seconds, n=20)
    return {
        "single guests": name,
        "number": len(seconds),
        "rows/s": round(speed),
        "p50 ms": round(statistics.median(seconds) * 1000),
        "p95 ms": round(cuts[18] * 1000),
        "max ms": round(max(seconds) * 1000),
    }


def main() -> dict[str, Any]:
    """Print the latencies and the progress."""
    print(describe_machine())
    return measure()


if __name__ == "__main__":
    main()
