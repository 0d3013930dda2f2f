"""A check comes to findings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence; `ok` False: somebody has to do something, the sentence says who and what.

    `optional`: something that nothing needs is not there, or not known, which is neither good nor
    bad. `warns`: something that may not be meant.
    """

    ok: bool
    what: str
    optional: bool = False
    warns: bool = False


def absent(what: str) -> Finding:
    """Tell of something that is not there and need not be."""
    return Finding(True, what, optional=True)
