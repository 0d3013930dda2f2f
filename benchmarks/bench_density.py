"""Many tenants on one worker, each at the edge of its quota (20 rows a second), answers taking half
a second: does the slowest get its due?

*share*: of what its quota let through in the time watched, of the slowest tenant and of all on
average. The second case adds tenants that are slow (30 s an answer), held (invitations switched
off) and throttled from outside; the share is that of the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.results import show
from benchmarks.stage import Stage, ask_sandbox, describe_machine, load_job, open_stage

TENANTS = 100
RATE = 20.0
WARM_S, WATCH_S = 15.0, 40.0
LATENCY = "0.3-0.7"
SETTINGS = '[quota]\nwrites_per_app_and_tenant = "200/10s"\n'
_LIMITS = "writes_per_app_and_tenant=200/10s"


@dataclass(frozen=True)
class Case:
    """So many tenants, of which some are slow, held, or share their quota with others. `bar`: the
    least share of the slowest.
    """

    name: str
    tenants: int = TENANTS
    slow: int = 0
    held: int = 0
    bar: float = 0.95


CASES = (Case("all alike"), Case("10 slow, 10 held beside them", slow=10, held=10))


def measure(cases: tuple[Case, ...] = CASES, *worker: str) -> dict[str, Any]:
    """Run each case on a stage of its own; returns a row for each. `worker`: options of the
    worker.
    """
    found = []
    for case in cases:
        options = ("--quota", _LIMITS, "--latency", LATENCY)
        with open_stage(tenants=case.tenants, sandbox=options, quota=True, settings=SETTINGS, trusted=True) as stage:
            found.append(asyncio.run(_run(stage, case, worker)))
            show(found[-1:])
    return {
        "slowest_share": found[0]["slowest"],
        "rate": RATE,
        "latency_s": LATENCY,
        "watched_s": WATCH_S,
        "cases": found,
    }


async def _run(stage: Stage, case: Case, worker: Sequence[str]) -> dict[str, Any]:
    odd = stage.tenant_ids[: case.slow + case.held]
    for number, tenant in enumerate(odd):
        if number < case.slow:
            ask_sandbox(stage, "latency", {"tenant_id": tenant, "latency": "30"})
        else:
            ask_sandbox(stage, "policy", {"tenant_id": tenant, "allow_invites_from": "none"})
    rows = int(200 + RATE * (WARM_S + WATCH_S + 15))
    jobs = [await load_job(stage, name, rows) for name in stage.connections]
    stage.start_worker(*worker)
    for job in jobs:
        await job.start(stage)
    await asyncio.sleep(WARM_S)
    before, began = _invited(stage), time.monotonic()
    cpu = {part: stage.cpu_s(part) for part in stage.processes}
    await asyncio.sleep(WATCH_S)
    after, took = _invited(stage), time.monotonic() - began
    shares = sorted((after[tenant] - before[tenant]) / (RATE * took) for tenant in after if tenant not in odd)
    total = sum(after.values()) - sum(before.values())
    throttled = sum(ask_sandbox(stage, "stats")["throttled"].values())
    return {
        "case": case.name,
        "tenants": case.tenants,
        "slowest": round(shares[0], 3),
        "mean": round(sum(shares) / len(shares), 3),
        "rows/s": round(total / took),
        "429s": throttled,
        **{f"{part} CPU": round((stage.cpu_s(part) - used) / took, 2) for part, used in cpu.items()},
        "met": shares[0] >= case.bar,
    }


def _invited(stage: Stage) -> dict[str, int]:
    return {tenant: told["invited"] for tenant, told in ask_sandbox(stage, "stats")["tenants"].items()}


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    return measure()


if __name__ == "__main__":
    main()
