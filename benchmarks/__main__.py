"""Run the measurements one after the other, each in a process of its own so that none warms up for
the next.

A measurement is a module `benchmarks/bench_*.py` with a `main()` that prints what it measured and
on what machine. What `main()` returns, figures by name, goes into `benchmarks/results.json`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PLOTTER = Path(".venv-peers/bin/python")


def main(names: list[str]) -> int:
    """Run the named measurements, or all; returns how many failed."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        print(
            f"No such measurement: {', '.join(unknown)}. There are: {', '.join(known) or 'none yet'}.", file=sys.stderr
        )
        return 2
    if not known:
        print("There is no measurement yet (benchmarks/bench_*.py).")
    failed = 0
    for name in names or known:
        print(f"== {name}", flush=True)
        run = f"from benchmarks.{name} import main; from benchmarks import keep; keep('{name}', main())"
        failed += subprocess.run([sys.executable, "-c", run], check=False).returncode != 0
    print("== what was aimed at")
    subprocess.run([sys.executable, "-m", "benchmarks.summary"], check=False)
    if _PLOTTER.exists():
        subprocess.run([_PLOTTER, "-m", "benchmarks.peers.plot"], check=False)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
