"""How long a list of a million rows takes from the file into the ledger, by the command that people
type; and how soon `usher --help` answers.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage, describe_machine, open_stage

ROWS = int(os.environ.get("USHER_BENCH_ENQUEUE", "1000000"))
_FIRST = ("Anna", "Ben", "Carla", "Deniz", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Katja", "Liam")
_LAST = (
    "Adler",
    "Berg",
    "Costa",
    "Duval",
    "Engel",
    "Fischer",
    "Garcia",
    "Huber",
    "Ivanova",
    "Jensen",
    "Kovács",
    "Lopez",
)
_USHER = (sys.executable, "-m", "cli")


def measure() -> dict[str, Any]:
    """Write a list, enqueue it without a worker, and ask for help a few times; returns the
    figures.
    """
    with open_stage() as stage:
        path = stage.folder / "guests.csv"
        write_list(path, ROWS)
        seconds, rss_mb, cpu_s = _enqueue(stage, path)
        helped = min(_help(stage) for _ in range(5))
    return {
        "rows": ROWS,
        "seconds": seconds,
        "rows_per_s": ROWS / seconds,
        "cpu_s_per_1000": cpu_s / ROWS * 1000,
        "peak_rss_mb": rss_mb,
        "help_s": helped,
    }


def main() -> dict[str, Any]:
    """Print the figures."""
    print(describe_machine())
    found = measure()
    for name, value in found.items():
        print(f"{name:20}{value:14,.3f}")
    return found


def write_list(path: Path, rows: int) -> None:
    """Write a list of made-up people, the same at every run."""
    chance = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        file.write("email,display_name,ref\n")
        for n in range(rows):
            first, last = chance.choice(_FIRST), chance.choice(_LAST)
            file.write(f"{first.lower()}.{n:x}@partner{chance.randrange(400)}.example,{first} {last},{n:07}\n")


def _enqueue(stage: Stage, path: Path) -> tuple[float, float, float]:
    began = time.monotonic()
    process = subprocess.Popen(
        [*_USHER, "invite", str(path), "-c", stage.connections[0], "--yes", "--detach", "--json"],
        env=stage.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.read().splitlines()[-1])
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0  # reaped here, for its figures
    process.stdout.close()
    if told.get("rows") != ROWS:
        raise RuntimeError(f"the list was not taken: {told}")
    return time.monotonic() - began, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime


def _help(stage: Stage) -> float:
    began = time.monotonic()
    subprocess.run([*_USHER, "--help"], env=stage.env, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began
