"""usher knows which version it is."""

from __future__ import annotations

from functools import cache


@cache
def read_version() -> str:
    """Return the version of the installed package; "0" when usher runs from a bare checkout."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("entra-usher")
    except PackageNotFoundError:
        return "0"
