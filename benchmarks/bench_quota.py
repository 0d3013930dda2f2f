"""At the quota's edge: 6,000 rows in one tenant against the documented limits, alone and with
others, at ten times the speed.

*share*: of what the limits, less what others take, would have let through in the time it took from
submitting to the last answer; 1 is perfect. *ratio*: the time from the first request to the last,
over the least that the limits allow. *429s*: of all operations. The limits' windows and the
sandbox's quota clock are ten times as fast as Microsoft's; answers take 0.1 s, as if it were a
second there.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.results import show
from benchmarks.stage import (
    ENDLESS,
    Stage,
    ask_sandbox,
    describe_machine,
    enqueue,
    last_begun_ms,
    open_stage,
    wait_for_begin,
    wait_for_end,
)

SCALE = 10
ROWS = 6_000
LATENCY_S = 0.1
_LIMITS = {
    "invitations_per_tenant": (150, 5),
    "writes_per_app_and_tenant": (3_000, 150),
    "writes_per_tenant": (18_000, 300),
    "writes_per_app": (35_000, 300),
    "units_per_app_and_tenant": (3_500, 10),
    "units_per_app": (150_000, 20),
}


@dataclass(frozen=True)
class Case:
    """One way Graph may behave. `taken`: by limit, the share that others take."""

    name: str
    options: tuple[str, ...] = ()
    taken: tuple[tuple[str, float], ...] = ()
    fixed: bool = False
    without: tuple[str, ...] = ()  # limits that nobody enforces
    rows: int = ROWS
    least_share: float = 0.0  # the bar; 0: none
    most_ratio: float = math.inf
    most_429: float = 1.0

    @property
    def limits(self) -> dict[str, tuple[int, int]]:
        """The limits that are enforced."""
        return {name: limit for name, limit in _LIMITS.items() if name not in self.without}

    @property
    def settings(self) -> str:
        """usher's configuration."""
        limits = {name: f"{n}/{s / SCALE:g}s" for name, (n, s) in self.limits.items()}
        limits |= dict.fromkeys(self.without, ENDLESS)
        return "[quota]\n" + "\n".join(f'{name} = "{limit}"' for name, limit in limits.items())

    @property
    def sandbox(self) -> tuple[str, ...]:
        """The sandbox's options."""
        background = ",".join(f"{name}={share}" for name, share in self.taken)
        return (
            *("--time-scale", str(SCALE), "--latency", f"{LATENCY_S * 0.8:g}-{LATENCY_S * 1.2:g}"),
            *(("--quota", ",".join(f"{name}=off" for name in self.without)) if self.without else ()),
            *(("--background", background) if background else ()),
            *self.options,
        )


def _halves(name: str, *options: str, taken: float = 0.5, **more: Any) -> Case:
    bars = {"least_share": 0.9, "most_429": 0.03, **more}
    tenants = (("invitations_per_tenant", taken), ("writes_per_tenant", taken))
    return Case(name, options, tenants, **bars)


CASES = (
    Case("alone", most_ratio=1.02, most_429=0.005),
    # A full bucket of 3,000 writes, then 20 a second: without the limit on invitations the list
    # meets its edge at once.
    Case("alone, the writes' burst", without=("invitations_per_tenant",), most_ratio=1.02, most_429=0.005),
    Case("alone, refused ones count", ("--accrue-while-throttled",), least_share=1 / 1.05, most_429=0.005),
    _halves("half taken"),
    _halves("half taken, no headers", "--throttle-headers", "off", "--retry-after", "absent"),
    _halves("half taken, no headers, Retry-After 1", "--throttle-headers", "off", "--retry-after", "one"),
    _halves("half taken, refused ones count", "--accrue-while-throttled"),
    _halves(
        "half taken, refused ones count, no headers",
        *("--accrue-while-throttled", "--throttle-headers", "off", "--retry-after", "absent"),
    ),
    _halves("a fifth taken, no headers", "--throttle-headers", "off", "--retry-after", "absent", taken=0.2),
    _halves(
        "nine tenths taken, no headers",
        *("--throttle-headers", "off", "--retry-after", "absent"),
        taken=0.9,
        rows=1_500,  # half of them are the first burst: what it costs to learn is most of what there is
        most_429=0.15,
    ),
    Case("half of the app's writes taken", (), (("writes_per_app_and_tenant", 0.5),), least_share=0.9, most_429=0.03),
    Case("fixed windows", ("--fixed-windows",), fixed=True, most_429=0.1),
    Case(
        "fixed windows, no headers",
        ("--fixed-windows", "--throttle-headers", "off", "--retry-after", "absent"),
        fixed=True,
        most_429=0.1,
    ),
    _halves(
        "fixed windows, half taken",
        *("--fixed-windows", "--accrue-while-throttled", "--throttle-headers", "off", "--retry-after", "absent"),
        fixed=True,
        least_share=0.0,
        most_429=0.1,
    ),
)


def ideal_s(rows: int, case: Case) -> float:
    """Return the seconds in which what is left of the limits lets so many rows through, started on
    full buckets.
    """
    taken = dict(case.taken)
    seconds = []
    for name, (amount, window) in case.limits.items():
        left = 1 - taken.get(name, 0.0)
        if case.fixed:
            windows, rest = divmod(rows, amount * left)
            seconds.append((windows - (rest == 0)) * window)  # the last window's part goes at once
        else:
            seconds.append(max(0, rows - amount) * window / (amount * left))
    return max(seconds) / SCALE


def measure(cases: tuple[Case, ...] = CASES) -> dict[str, Any]:
    """Run each case on a stage of its own; returns a row for each."""
    found = []
    for case in cases:
        with open_stage(sandbox=case.sandbox, quota=True, settings=case.settings, trusted=True) as stage:
            stage.start_worker()
            found.append(asyncio.run(_run(stage, case, case.rows)))
            show(found[-1:]) if len(found) == 1 else print("  ".join(map(str, found[-1].values())), flush=True)
    return {"time_scale": SCALE, "latency_s": LATENCY_S, "cases": found}


async def _run(stage: Stage, case: Case, rows: int) -> dict[str, Any]:
    await wait_for_end(stage, [await enqueue(stage, "t0", 1)])  # token, TLS, imports
    await asyncio.sleep(1)
    ask_sandbox(stage, "quota", {})  # full buckets
    await asyncio.sleep(0.2)
    began, before = time.monotonic(), ask_sandbox(stage, "stats")
    first = asyncio.create_task(wait_for_begin(stage, "t0"))
    await wait_for_end(stage, [await enqueue(stage, "t0", rows)], within_s=1_800)
    took = time.monotonic() - began
    first_to_last = (await last_begun_ms(stage, "t0") - await first) / 1000
    after = ask_sandbox(stage, "stats")
    invited = after["invited"] - before["invited"]
    refused = sum(after["throttled"].values())
    ideal = ideal_s(rows, case)
    share, ratio, part = (ideal + LATENCY_S) / took, first_to_last / ideal, refused / (invited + refused)
    return {
        "case": case.name,
        "ideal": round(ideal, 2),
        "first to last": round(first_to_last, 2),
        "ratio": round(ratio, 3),
        "seconds": round(took, 2),
        "share": round(share, 3),
        "429s": refused,
        "429s %": round(100 * part, 2),
        "invited": invited,
        "met": share >= case.least_share and ratio <= case.most_ratio and part <= case.most_429 and invited == rows,
    }


def main() -> dict[str, Any]:
    """Print a table."""
    print(describe_machine())
    figures = measure()
    print()
    show(figures["cases"])
    return figures


if __name__ == "__main__":
    main()
