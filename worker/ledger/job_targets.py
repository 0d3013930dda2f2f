"""A job's targets are the groups, teams and sponsors that its rows name, found in the tenant once
for the whole job.

They are kept with the job, and go with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

from worker.ledger.scripts import InLedger

KEPT_S = 60 * 86400
"""Found anew where a job goes on for longer; an ended job's are gone before, with the job."""


class TargetKind(StrEnum):
    """What a row may name."""

    GROUP = "group"
    TEAM = "team"
    SPONSOR = "sponsor"  # a person or a group


@dataclass(frozen=True, slots=True)
class Target:
    """A target is what one name of a row stands for, or why it cannot be used.

    `name` is as the row has it; `title` what the tenant calls the target. `collection` is where
    Graph has it: `users` or `groups`.
    """

    id: str
    name: str
    kind: TargetKind
    refused: str = ""  # a sentence; '' where guests can be put there
    title: str = ""
    collection: str = "groups"

    def __repr__(self) -> str:
        """Leave the name out: a sponsor's may be an address."""
        return f"Target({self.id!r}, {self.kind!r}, refused={bool(self.refused)})"


class JobTargets(InLedger):
    """The targets of all jobs, in one ledger. Raises redis-py's outages."""

    async def read(self, job: str, kind: TargetKind, names: Sequence[str]) -> dict[str, Target]:
        """Return those of some names that were found before."""
        if not names:
            return {}
        kept = await self._client.hmget(self._keys.job_targets(job), [_field(kind, name) for name in names])
        return {name: _read(value, kind, name) for name, value in zip(names, kept, strict=True) if value}

    async def keep(self, job: str, targets: Iterable[Target]) -> None:
        """Keep targets for the rest of the job, whose id is its root's; nothing where the job was
        deleted meanwhile.
        """
        fields = [part for target in targets for part in (_field(target.kind, target.name), _write(target))]
        if fields:
            await self._scripts["write_for_job"](
                keys=[self._keys.job(job), self._keys.job_targets(job)], args=[KEPT_S * 1000, *fields]
            )


def _field(kind: TargetKind, name: str) -> str:
    return f"{kind.value}|{name}"


def _write(target: Target) -> bytes:
    return orjson.dumps([target.id, target.refused, target.title, target.collection])


def _read(value: bytes, kind: TargetKind, name: str) -> Target:
    target_id, refused, title, collection = orjson.loads(value)
    return Target(target_id, name, kind, refused, title, collection)
