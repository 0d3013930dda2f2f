"""Someone who asks a tenant, and whose tenant answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.graph.batch import Fate, GraphAnswer, GraphRequest


def found(*values: object, **more: object) -> GraphAnswer:
    """Return a list as Graph answers it."""
    return GraphAnswer(Fate.ANSWERED, 200, {}, {"value": list(values), **more})


class Asking:
    """Asks for one job. `asked` has the paths of all that was asked for."""

    reminders: Any = None

    def __init__(self, answer: Callable[[GraphRequest], GraphAnswer], job: str = "abc") -> None:
        self._answer = answer
        self.job = job
        self.asked: list[str] = []
        self.calls = 0

    async def get(self, requests: Sequence[GraphRequest]) -> Mapping[str, GraphAnswer]:
        """Answer all at once."""
        self.calls += 1
        self.asked += [request.path for request in requests]
        return {request.id: self._answer(request) for request in requests}
