"""Measurements, one module each: `make bench` runs all, `make bench B=bench_name` one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def keep(name: str, figures: Mapping[str, Any] | None) -> None:
    """Keep what a measurement's `main()` returned, if anything."""
    from benchmarks.results import save
    from benchmarks.stage import describe_machine

    if figures:
        save(name, figures, describe_machine())
