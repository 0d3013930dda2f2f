"""usher beside its peers, in one run against one sandbox: Microsoft's SDK, a script, a Celery task
for each invitation.

Without quota and without latency, so that what is compared is the work of inviting. None of the
peers keeps a ledger or is safe to run twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage, cpu_s_of, describe_machine, load_job, open_stage, wait_for_end

PEERS = {  # name → module, rows: so many that it takes some seconds
    "usher": ("", 20_000),
    "Graph SDK, $batch": ("sdk_batch", 4_000),
    "script, one by one": ("sequential", 2_000),
    "Graph SDK, gather": ("sdk_gather", 400),
    "a Celery task each": ("celery_task", 400),
}
PYTHON = Path(".venv-peers/bin/python")


def measure() -> dict[str, Any]:
    """Run each; returns rows/s and processor seconds per 1,000 rows (their own processes and Redis,
    not the sandbox's) by name.
    """
    figures = {}
    with open_stage() as stage:
        for name, (module, rows) in PEERS.items():
            figures[name] = _peer(stage, module, rows) if module else _usher(stage, rows)
    fastest = figures["usher"]
    return {
        name: found
        | {
            "usher is faster": fastest["rows_per_s"] / found["rows_per_s"],
            "usher is cheaper": found["cpu_s_per_1000"] / fastest["cpu_s_per_1000"],
        }
        for name, found in figures.items()
    }


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    if not PYTHON.exists():
        print("The peers' environment is not there: run this by `make bench`.")
        raise SystemExit(1)
    print(f"{'':22}{'rows':>8}{'rows/s':>10}{'CPU-s/1,000':>13}{'usher faster':>14}{'cheaper':>9}")
    found = measure()
    for name, f in found.items():
        print(
            f"{name:22}{f['rows']:8,}{f['rows_per_s']:10,.0f}{f['cpu_s_per_1000']:13.3f}"
            f"{f['usher is faster']:13.1f}x{f['usher is cheaper']:8.1f}x"
        )
    return found


def _usher(stage: Stage, rows: int) -> dict[str, float]:
    stage.start_worker()

    async def run(count: int) -> float:
        loaded = await load_job(stage, stage.connections[0], count)
        began = time.monotonic()
        await loaded.start(stage)
        await wait_for_end(stage, [loaded.job])
        return time.monotonic() - began

    asyncio.run(run(1_000))
    before = stage.cpu_s("worker") + stage.cpu_s("valkey")
    seconds = asyncio.run(run(rows))
    used = stage.cpu_s("worker") + stage.cpu_s("valkey") - before
    stage.stop("worker")
    return {"rows": rows, "rows_per_s": rows / seconds, "cpu_s_per_1000": used / rows * 1000}


def _peer(stage: Stage, module: str, rows: int) -> dict[str, float]:
    table = tomllib.loads((stage.folder / "usher.toml").read_text())["connections"][stage.connections[0]]
    socket = stage.folder / "v.sock"
    task = {
        **{key: table[key] for key in ("tenant_id", "client_id", "authority", "graph_url")},
        "client_secret": Path(table["client_secret"].removeprefix("file:")).read_text().strip(),
        "rows": rows,
    }
    roots = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), table["ca_file"])
    env = {
        **os.environ,
        **roots,
        "USHER_PEER": json.dumps(task),
        "PEER_REDIS": f"redis+socket://{socket}?virtual_host=7",
    }
    errors = stage.folder / f"{module}.log"
    process = subprocess.Popen(
        [str(PYTHON), "-m", f"benchmarks.peers.{module}"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors.open("w"),
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.wait()
        raise RuntimeError(f"benchmarks.peers.{module} did not start: {errors.read_text()[-2000:]}")
    before, began = cpu_s_of(process.pid) + stage.cpu_s("valkey"), time.monotonic()
    process.stdin.write("go\n")
    process.stdin.flush()
    said = process.stdout.readline()
    seconds = time.monotonic() - began
    used = cpu_s_of(process.pid) + stage.cpu_s("valkey") - before
    process.communicate()
    if not said or json.loads(said) != {"invited": rows, "failed": 0}:
        raise RuntimeError(f"benchmarks.peers.{module} said {said!r}: {errors.read_text()[-2000:]}")
    return {"rows": rows, "rows_per_s": rows / seconds, "cpu_s_per_1000": used / rows * 1000}
