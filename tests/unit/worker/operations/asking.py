"""Someone who asks a tenant, and whose tenant answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from worker.graph.batch import Fate, GraphAnswer, GraphRequest
from worker.ledger.model import KnownRow
from worker.ledger.quota import Bucket
from worker.operations.clean.policy import Spared


def found(*values: object, **more: object) -> GraphAnswer:
    """Return a list as Graph answers it."""
    return GraphAnswer(Fate.ANSWERED, 200, {}, {"value": list(values), **more})


class Noting:
    """Remembers whom usher has disabled; without a server. `noted` and `dropped` have the ids."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.dropped: list[str] = []
        self.jobs: dict[str, str] = {}

    async def note(self, tenant_key: str, job: str, ids: Sequence[str]) -> None:
        """Note some guests."""
        self.noted += ids

    async def read_jobs(self, tenant_key: str, ids: Sequence[str]) -> dict[str, str]:
        """Return what the test says."""
        return {one: self.jobs[one] for one in ids if one in self.jobs}

    async def drop(self, tenant_key: str, ids: Sequence[str]) -> None:
        """Forget some guests."""
        self.dropped += ids


class Asking:
    """Asks for one job. `asked` has the paths of all that was asked for."""

    reminders: Any = None
    invited: Mapping[int, KnownRow] = MappingProxyType({})
    sign_in_quota: Sequence[Bucket] = (Bucket("sign-ins-app:a", 10.0, 60_000),)
    spared: tuple[Spared, str] = (Spared(), "")
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __init__(self, answer: Callable[[GraphRequest], GraphAnswer], job: str = "abc") -> None:
        self._answer = answer
        self.job = job
        self.asked: list[str] = []
        self.calls = 0
        self.disabled: Any = Noting()
        self.moving: Any = Noting()

    async def find_invited(self, emails: Mapping[int, str]) -> Mapping[int, KnownRow]:
        """Return whom the test says, of those asked for."""
        return {number: known for number, known in self.invited.items() if number in emails}

    async def find_spared(self) -> tuple[Spared, str]:
        """Return whom the test says."""
        return self.spared

    async def get(
        self, requests: Sequence[GraphRequest], buckets: Sequence[Bucket] | None = None
    ) -> Mapping[str, GraphAnswer]:
        """Answer all at once."""
        self.calls += 1
        self.asked += [request.path for request in requests]
        return {request.id: self._answer(request) for request in requests}
