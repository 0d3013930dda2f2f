"""The whole way of a guest at the quota's edge: 6,000 rows with profile, one sponsor and one group,
at ten times the speed; beside it a script that makes each call by itself.

*ideal*: the least time in which the documented limits let those writes through that a guest
needs: an invitation, a profile, a twentieth of a group's, and the sponsor's own where Graph takes
none with the invitation. *ratio*: from submitting to the last answer, over that. *429s*: of all
writes. The limits' windows and the sandbox's quota clock are ten times as fast as Microsoft's;
answers take 0.1 s, as if it were a second there. USHER_BENCH_ROWS makes it smaller.
"""

from __future__ import annotations

import asyncio
import os
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.one_call_each import run_script
from benchmarks.results import show
from benchmarks.stage import Stage, ask_sandbox, describe_machine, enqueue, load_job, open_stage, wait_for_end
from worker.ledger.job_targets import Target, TargetKind

SCALE = 10
ROWS = int(os.environ.get("USHER_BENCH_ROWS", "6000"))
LATENCY_S = 0.1
ROWS_A_GROUP_CALL = 20
_LIMITS = {
    "invitations_per_tenant": (150, 5),
    "writes_per_app_and_tenant": (3_000, 150),
    "writes_per_tenant": (18_000, 300),
    "writes_per_app": (35_000, 300),
    "units_per_app_and_tenant": (3_500, 10),
    "units_per_app": (150_000, 20),
}
_OURS = "usher"
_ONE_BY_ONE = "a script, one call each"
CASES = (
    (_OURS, "sponsors with the invitation", True),
    (_OURS, "sponsors by themselves", False),
    (_ONE_BY_ONE, "sponsors by themselves", False),
)
_SETTINGS = "[quota]\n" + "\n".join(f'{name} = "{n}/{s / SCALE:g}s"' for name, (n, s) in _LIMITS.items())
_SANDBOX = (
    *("--time-scale", str(SCALE), "--latency", f"{LATENCY_S * 0.8:g}-{LATENCY_S * 1.2:g}"),
    *("--replication", "0.2"),
)


def writes_of(rows: int, *, along: bool) -> int:
    """Return the least number of writes. `along`: sponsors go with the invitation."""
    return rows * (2 if along else 3) + -(-rows // ROWS_A_GROUP_CALL)


def ideal_s(rows: int, writes: int) -> float:
    """Return the seconds in which full buckets let so many writes through, a part of them
    invitations.
    """
    asked = dict.fromkeys(_LIMITS, writes) | {"invitations_per_tenant": rows}
    left = (max(0, asked[name] - amount) * window / amount for name, (amount, window) in _LIMITS.items())
    return max(left) / SCALE


def measure(rows: int = ROWS) -> dict[str, Any]:
    """Run each case on a stage of its own; returns a row for each."""
    found = []
    for who, how, along in CASES:
        with open_stage(sandbox=_SANDBOX, quota=True, settings=_SETTINGS, trusted=True) as stage:
            ask_sandbox(stage, "policy", {"sponsors_taken": along})
            found.append({"who": who, "case": how, **asyncio.run(_run(stage, who, rows, along=along))})
            show(found[-1:]) if len(found) == 1 else print("  ".join(map(str, found[-1].values())), flush=True)
    return {"time_scale": SCALE, "latency_s": LATENCY_S, "rows": rows, "cases": found}


async def _run(stage: Stage, who: str, rows: int, *, along: bool) -> dict[str, Any]:
    sponsor = ask_sandbox(stage, "guests?address=ada@contoso.example")[0]["id"]
    group = ask_sandbox(stage, "groups?name=Partners")[0]["id"]
    if who == _OURS:
        stage.start_worker()
        await wait_for_end(stage, [await enqueue(stage, "t0", 1)])  # token, TLS, imports
        await asyncio.sleep(1)
    ask_sandbox(stage, "quota", {})  # full buckets
    await asyncio.sleep(0.2)
    before = ask_sandbox(stage, "stats")
    began = time.monotonic()
    if who == _OURS:
        await wait_for_end(stage, [await _submit(stage, rows, sponsor, group)], within_s=1_800)
    else:
        await run_script(_table(stage), stage.ca_file, rows, sponsor, group)
    took = time.monotonic() - began
    counted = _count(before, ask_sandbox(stage, "stats"))
    members = len(ask_sandbox(stage, "groups?name=Partners")[0]["members"])
    ideal = ideal_s(rows, writes_of(rows, along=along))
    return {
        "ideal": round(ideal, 2),
        "seconds": round(took, 2),
        "ratio": round(took / ideal, 3) if ideal else 0.0,
        "writes": counted["writes"],
        "least": writes_of(rows, along=along),
        "reads": counted["reads"],
        "429s": counted["429s"],
        "429s %": round(100 * counted["429s"] / max(1, counted["writes"] + counted["429s"]), 2),
        "met": took <= 1.05 * ideal and counted["429s"] <= 0.005 * counted["writes"] and members >= rows,
    }


async def _submit(stage: Stage, rows: int, sponsor: str, group: str) -> str:
    columns = {"company": "Partner Ltd", "department": "Sales", "sponsors": [sponsor], "groups": [group]}
    targets = [
        Target(sponsor, sponsor, TargetKind.SPONSOR, collection="users"),
        Target(group, group, TargetKind.GROUP),
    ]
    loaded = await load_job(stage, "t0", rows, columns=columns, targets=targets)
    await loaded.start(stage)
    return loaded.job


def _table(stage: Stage) -> dict[str, Any]:
    """Return the connection as a script has it, its secret in plain text."""
    table: dict[str, Any] = tomllib.loads((stage.folder / "usher.toml").read_text())["connections"]["t0"]
    return table | {"client_secret": Path(table["client_secret"].removeprefix("file:")).read_text().strip()}


_WRITES = ("invite", "update_user", "add_sponsor", "update_group", "add_member")


def _count(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    """Return how many writes were carried out, how many requests were refused, and how much was
    read.
    """
    counts = {"writes": 0, "reads": 0, "429s": 0}
    for operation, statuses in after["items"].items():
        for status, count in statuses.items():
            name = "429s" if status == "429" else "writes" if operation in _WRITES else "reads"
            counts[name] += count - before["items"].get(operation, {}).get(status, 0)
    return counts


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    figures = measure()
    print()
    show(figures["cases"])
    return figures


if __name__ == "__main__":
    main()
