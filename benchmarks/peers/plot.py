"""Draws `docs/img/performance.svg` from `benchmarks/results.json`; lives here because matplotlib is
in the peers' environment.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Draw rows a second and processor time beside the peers', and the share of the quota."""
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    pyplot.rcParams.update(
        {"svg.hashsalt": "usher", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    figure, (speed, cost, quota) = pyplot.subplots(1, 3, figsize=(11, 3.2))
    peers = {name: found for name, found in results.get("bench_peers", {}).items() if isinstance(found, dict)}
    names = sorted(peers, key=lambda name: peers[name]["rows_per_s"])
    colours = ["#2b6cb0" if name == "usher" else "#a0aec0" for name in names]
    for axes, key, title in (
        (speed, "rows_per_s", "invitations a second"),
        (cost, "cpu_s_per_1000", "CPU seconds per 1,000"),
    ):
        axes.barh(names, [peers[name][key] for name in names], color=colours)
        axes.set_xscale("log")
        axes.set_title(title)
    cost.set_yticks([])
    cases = [case for case in results.get("bench_quota", {}).get("cases", []) if case["share"] <= 1.05][:7]
    quota.barh([case["case"] for case in cases][::-1], [case["share"] for case in cases][::-1], color="#2b6cb0")
    quota.set_xlim(0, 1.05)
    quota.set_title("share of the quota that was left")
    figure.tight_layout()
    figure.savefig(ROOT / "docs" / "img" / "performance.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
