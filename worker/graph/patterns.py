"""Status, code and wording tell one refusal of Graph's from another, the replaceable layer under
`worker.graph.verdicts`. Pure.

Graph answers many causes under one code (`BadRequest`, `Forbidden`, `Unauthorized`), so after
status and code the message has to speak. Microsoft advises against it and rewords at will: hence a
table for each operation, looked at only where status and code leave the cause open, and an unknown
wording is never worse than an unknown error.
https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Pattern:
    """A cause, and the wordings that give it away; no `statuses`: any 4xx but 401 and 429."""

    cause: StrEnum
    text: re.Pattern[str]
    statuses: frozenset[int] = frozenset()

    def fits(self, status: int, message: str) -> bool:
        """Whether a refusal reads so."""
        if self.statuses:
            return status in self.statuses and bool(self.text.search(message))
        return 400 <= status < 500 and status not in (401, 429) and bool(self.text.search(message))


def wording(cause: StrEnum, *texts: str, statuses: Sequence[int] = ()) -> Pattern:
    """Return the pattern of a cause that any of these expressions gives away."""
    return Pattern(cause, re.compile("|".join(texts), re.IGNORECASE), frozenset(statuses))


def find_cause(status: int, message: str, patterns: Iterable[Pattern]) -> StrEnum | None:
    """Return the cause of the first pattern that fits, None where no wording is known."""
    return next((pattern.cause for pattern in patterns if pattern.fits(status, message)), None)
