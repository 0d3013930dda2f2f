"""Where measurements leave their figures: `benchmarks/results.json`, one object a measurement,
written by `python -m benchmarks`.

A measurement's `measure()` returns figures by name; tables are lists of rows with the same names.
Written whole, so that a run of one measurement replaces its own figures and keeps the others'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"


def save(name: str, figures: Mapping[str, Any], machine: str, path: Path = RESULTS) -> None:
    """Put one measurement's figures into the file."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {"measured_at": datetime.now(UTC).isoformat(timespec="minutes"), "machine": machine, **figures}
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    draft.replace(path)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table, its columns as wide as what is in them."""
    if not rows:
        return
    cells = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
