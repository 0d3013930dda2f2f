"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence; `ok` False: somebody has to do something, the sentence says who and what."""

    ok: bool
    what: str
