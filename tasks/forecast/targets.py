"""Before a job starts, what its rows name is found in the tenant: a group, a team, a sponsor, or
nobody.

What is found is kept with the job, so that its workers need not ask again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.asked_stages import AskedStages
from tasks.checks.permissions import tell_steps
from tasks.forecast.rows import StageWould
from worker.directory.asking import PatientAsk
from worker.directory.targets import resolve_for
from worker.errors import UsherError
from worker.ledger.job_targets import JobTargets, Target
from worker.operations.operation import Asked, CannotAsk, Operation
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from config.connections import Connection
    from config.settings import Settings
    from worker.ledger.quota import Bucket
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class StageAhead:
    """One stage as it would be. `guests`: who ask for it; `named`: what they name, with the number
    of guests, most first.

    `missing`: a sentence where the app lacks the right to it; `unread`: one where nobody could
    find out what the names stand for. `loads`: its calls, with the buckets that they take from.
    """

    name: str
    guests: int
    loads: Sequence[tuple[Sequence[Bucket], int]] = field(default=(), repr=False)
    named: Sequence[tuple[Target, int]] = field(default=(), repr=False)
    missing: str = ""
    unread: str = ""
    would: Mapping[StageWould, int] = field(default_factory=dict)  # guests, where that was looked at
    sender: str = ""  # the mailbox that it sends from

    @property
    def refused(self) -> list[tuple[Target, int]]:
        """What nobody can be put into, with the number of guests who name it."""
        return [(target, guests) for target, guests in self.named if target.refused]

    @property
    def usable(self) -> list[tuple[Target, int]]:
        """The others, each once, in whatever ways it is named."""
        found: dict[str, tuple[Target, int]] = {}
        for target, guests in self.named:
            if not target.refused:
                first, before = found.get(target.id or target.name, (target, 0))
                found[target.id or target.name] = (first, min(before + guests, self.guests))
        return list(found.values())


async def look_at_stages(
    services: Services, connection: Connection, job: str, asked: AskedStages, roles: frozenset[str] | None
) -> list[StageAhead]:
    """Return the stages that a list asks for, in their order. Raises redis-py's errors."""
    missing = tell_steps(asked.rows, roles)
    ask = PatientAsk(services, connection, job)
    ahead = []
    for stage in (name for name in OPERATIONS if name in asked.rows):
        names: Mapping[str, int] = asked.names.get(stage, {})
        targets, unread = await _resolve(services, ask, stage, list(names))
        named = [(target, names[name]) for name, target in targets.items()]
        named.sort(key=lambda pair: (-pair[1], pair[0].title or pair[0].name))
        loads = _loads(OPERATIONS[stage], services.settings(), connection, asked.rows[stage], named)
        sender = OPERATIONS[stage].sender(connection)
        ahead.append(StageAhead(stage, asked.rows[stage], loads, named, missing.get(stage, ""), unread, sender=sender))
    return ahead


def _loads(
    operation: Operation, settings: Settings, connection: Connection, guests: int, named: Sequence[tuple[Target, int]]
) -> list[tuple[Sequence[Bucket], int]]:
    """Return the calls of a stage: for each target as many as its guests need together."""
    if operation.target_kind is None:
        return [(operation.buckets(settings, connection), guests)]
    return [
        (
            operation.buckets(settings, connection, [Asked(0, {"email": ""}, target=target)]),
            -(-count // operation.rows_a_call),
        )
        for target, count in named
        if not target.refused
    ]


def read_stages(asked: AskedStages) -> list[StageAhead]:
    """Return the stages that rows ask for as the rows have it, without asking the tenant."""
    ahead = []
    for stage in (name for name in OPERATIONS if name in asked.rows):
        kind = OPERATIONS[stage].target_kind
        names = asked.names.get(stage, Counter()).most_common()
        named = [(Target("", name, kind), guests) for name, guests in names] if kind else []
        ahead.append(StageAhead(stage, asked.rows[stage], named=named))
    return ahead


def properties_read(stages: Iterable[str]) -> tuple[str, ...]:
    """Return what the look-up of users reads besides, so that some stages can be compared."""
    return tuple(dict.fromkeys(name for stage in stages for name in OPERATIONS[stage].reads))


async def _resolve(
    services: Services, ask: PatientAsk, stage: str, names: Sequence[str]
) -> tuple[Mapping[str, Target], str]:
    kind = OPERATIONS[stage].target_kind
    if kind is None or not names:
        return {}, ""
    store = JobTargets(services.client, services.keys)
    try:
        found = await resolve_for(store, ask.job, ask, kind, names)
    except (CannotAsk, UsherError):
        return {}, f"Microsoft did not say what the {stage} of the list are; the job finds out."
    if not found.may_not:
        return found.targets, ""
    return found.targets, (
        f"The app may not look up {stage} by name or id: grant the application permission {found.may_not}; until then"
        " such rows wait in this stage."
    )
