"""A session is what one run of `usher` knows of itself: how it talks, and whether rows have been
accepted yet.

The line between exit status 2 (nothing was sent) and 3 (rows are in the ledger) is drawn here:
`accepted` is the job's id from then on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Session:
    """One run. `last` is what was last seen of the accepted job
    (`tasks.messages.views.describe_job`); `told` is what `--json` says beside it: a plan, ceilings;
    `goes_on`: another job of this command is followed after this one; `before`: what was said of
    such jobs, which the one object tells together with the last. `undone`: what a command that is
    stopped did not do.
    """

    wants_json: bool = False
    started_s: float = field(default_factory=time.monotonic)
    accepted: str = ""
    last: Mapping[str, Any] | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    goes_on: bool = False
    undone: str = "sent"
    before: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started_s
