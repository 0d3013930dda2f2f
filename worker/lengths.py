"""A length of time is told in words, in its largest whole unit."""

from __future__ import annotations

from collections.abc import Mapping

_UNITS: Mapping[str, float] = {"day": 86_400.0, "hour": 3600.0, "minute": 60.0}


def tell_length(seconds: float) -> str:
    """Return `7 days`, `1 hour`, `20 seconds`."""
    for unit, size in _UNITS.items():
        if seconds >= size:
            count = int(seconds / size)
            return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"
    return f"{max(0, int(seconds))} seconds"
