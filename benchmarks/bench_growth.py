"""Whether a row of a million costs what a row of ten thousand costs: Redis commands and bytes are
counted, processor time is measured.

The tenant has guests already in both cases: while its index is new, a row takes one command more,
which would look like a gain with size.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.bench_cost import measure_case
from benchmarks.stage import describe_machine

SIZES = tuple(int(n) for n in os.environ.get("USHER_BENCH_GROWTH", "10000,1000000").split(","))
_GUESTS_BEFORE = 60_000


def measure() -> dict[str, Any]:
    """Run both sizes in one tenant, one after the other; returns what a row of the large job costs
    relative to one of the small.
    """
    found = measure_case(False, 1, SIZES, warm=_GUESTS_BEFORE)
    small, large = found["small"], found["large"]

    def ratio(*names: str) -> float:
        each = [sum(run[name] for name in names) / run["rows"] for run in (small, large)]
        return float(each[1] / each[0])

    return {
        "small": small,
        "large": large,
        "commands": ratio("commands"),
        "finished_bytes": ratio("finished_bytes"),
        "pending_bytes": ratio("pending_bytes"),
        "cpu": ratio("worker_s", "redis_s"),
        "rows_per_s": large["rows"] / large["seconds"],
    }


def main() -> dict[str, Any]:
    """Print the ratios."""
    print(describe_machine())
    found = measure()
    print(f"a row of {SIZES[1]:,} as against one of {SIZES[0]:,}:")
    for name in ("commands", "finished_bytes", "pending_bytes", "cpu"):
        print(f"  {name:16}{found[name]:8.3f}")
    print(f"  {found['rows_per_s']:,.0f} rows/s at {SIZES[1]:,}")
    return found
