"""A process remembers what a job's tenant refuses as a whole, domains and targets: the rest of
their rows is not tried, for asking again would only look suspicious.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.graph.causes import Verdict
from worker.operations.operation import Asked
from worker.operations.outcomes import name_domain

_MOST = 10_000  # remembered in one process at most


class RefusedWholes:
    """What Graph said of domains and targets, job by job."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    def add(self, job: str, found: Mapping[str, Verdict]) -> None:
        """Remember what Graph said of some of them, by name (`outcomes.Judged.whole`)."""
        for name, verdict in found.items():
            self._verdicts[job, name] = verdict
        while len(self._verdicts) > _MOST:
            del self._verdicts[next(iter(self._verdicts))]

    def __bool__(self) -> bool:
        return bool(self._verdicts)

    def find(self, job: str, asked: Asked) -> Verdict | None:
        """Return what Graph said of a row's domain or target."""
        said = self._verdicts.get((job, asked.target.id)) if asked.target else None
        return said or self._verdicts.get((job, name_domain(asked.row["email"])))
