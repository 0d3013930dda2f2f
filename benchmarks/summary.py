"""What was aimed at, beside what was measured last: printed at the end of `make bench`, from
`benchmarks/results.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.results import RESULTS, show


@dataclass(frozen=True)
class Aim:
    """A figure with its bar and its goal; `find` takes it from the results of one measurement."""

    what: str
    measurement: str
    find: Callable[[Any], float]
    bar: float
    goal: float | None = None
    more_is_better: bool = False

    def reached(self, value: float, aim: float) -> bool:
        """Whether a value is as good as an aim."""
        return value >= aim if self.more_is_better else value <= aim


def _quota(case: str, figure: str) -> Callable[[Any], float]:
    return lambda found: float(next(row[figure] for row in found["cases"] if row["case"] == case))


def _cost(case: str, figure: str) -> Callable[[Any], float]:
    return lambda found: float(found[case][figure])


def _stages(number: int, figure: str) -> Callable[[Any], float]:
    return lambda found: float(found["cases"][number][figure])


def _stages_writes(number: int) -> Callable[[Any], float]:
    return lambda found: float(found["cases"][number]["writes"] / found["cases"][number]["least"])


def _tenants_commands(found: Any) -> float:
    least, *_, most = found["cases"]
    return float(most["commands/1,000 rows"] / least["commands/1,000 rows"])


AIMS = (
    Aim("alone in a tenant: time / least possible", "bench_quota", _quota("alone", "ratio"), 1.02),
    Aim("alone in a tenant: 429s, %", "bench_quota", _quota("alone", "429s %"), 0.5),
    Aim("the writes' burst: time / least possible", "bench_quota", _quota("alone, the writes' burst", "ratio"), 1.02),
    Aim("the writes' burst: 429s, %", "bench_quota", _quota("alone, the writes' burst", "429s %"), 0.5),
    Aim("another app eats half: share of what is left", "bench_quota", _quota("half taken", "share"), 0.9, 0.95, True),
    Aim("another app eats half: 429s, %", "bench_quota", _quota("half taken", "429s %"), 3, 2),
    Aim("the same without headers: share", "bench_quota", _quota("half taken, no headers", "share"), 0.9, 0.95, True),
    Aim("the same without headers: 429s, %", "bench_quota", _quota("half taken, no headers", "429s %"), 3, 2),
    *(
        aim
        for number, case in enumerate(("with the invitation", "by themselves"))
        for aim in (
            Aim(f"the whole way, sponsors {case}: time / ideal", "bench_stages", _stages(number, "ratio"), 1.05),
            Aim("the same: 429s, %", "bench_stages", _stages(number, "429s %"), 0.5),
            Aim("the same: writes / least", "bench_stages", _stages_writes(number), 1.1),
        )
    ),
    Aim(
        "100 tenants: share of the slowest",
        "bench_density",
        lambda f: float(f["cases"][0]["slowest"]),
        0.95,
        None,
        True,
    ),
    Aim(
        "the same, beside slow and held ones",
        "bench_density",
        lambda f: float(f["cases"][1]["slowest"]),
        0.95,
        None,
        True,
    ),
    Aim(
        "a guest beside a large job: p95 / idle",
        "bench_fairness",
        lambda f: float(f["at_the_quota"]["p95_ratio"]),
        2,
    ),
    *(
        Aim(
            f"CPU-s per 1,000 rows, {case}",
            "bench_cost",
            _cost(case, "cpu_s_per_1000"),
            0.14,
            0.09,
        )
        for case in ("precheck off", "precheck on")
    ),
    Aim("rows/s, one worker", "bench_cost", _cost("precheck off", "rows_per_s"), 5_000, 10_000, True),
    Aim(
        "Redis bytes of a finished row",
        "bench_cost",
        _cost("precheck off", "finished_bytes_per_row"),
        200,
        160,
    ),
    Aim("Redis bytes of a pending row", "bench_cost", _cost("precheck off", "pending_bytes_per_row"), 60),
    Aim("index bytes a guest", "bench_cost", _cost("precheck off", "index_bytes_per_row"), 64),
    Aim("1,000,000 rows enqueued, s", "bench_enqueue", lambda f: float(f["seconds"]), 60, 20),
    Aim("its memory, MB", "bench_enqueue", lambda f: float(f["peak_rss_mb"]), 200),
    Aim("usher --help, s", "bench_enqueue", lambda f: float(f["help_s"]), 0.25),
    Aim("10,000 connections read, s", "bench_tenants", lambda f: float(f["load s"]), 1),
    Aim(
        "memory after five readings / after one",
        "bench_tenants",
        lambda f: float(f["last reload MB"]) / float(f["first reload MB"]),
        1.2,
    ),
    Aim("commands a row, beside 9,990 idle connections as against none", "bench_tenants", _tenants_commands, 1.05),
    Aim("commands a row, 1,000,000 as against 10,000", "bench_growth", lambda f: float(f["commands"]), 1.05),
    Aim("bytes a row, the same", "bench_growth", lambda f: float(f["finished_bytes"]), 1.05),
    Aim("CPU a row, the same", "bench_growth", lambda f: float(f["cpu"]), 1.2),
)


def main() -> None:
    """Print the table."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = []
    for aim in AIMS:
        try:
            value = aim.find(results[aim.measurement])
        except (KeyError, StopIteration):
            continue  # not measured yet
        met = aim.reached(value, aim.bar)
        goal = "" if aim.goal is None else "reached" if aim.reached(value, aim.goal) else "missed"
        rows.append(
            {"": aim.what, "measured": value, "bar": aim.bar, "met": met, "goal": aim.goal or "", "goal is": goal}
        )
    show(rows)


if __name__ == "__main__":
    main()
