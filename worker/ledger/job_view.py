"""A job is shown with its state, its counts, and who or what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from worker.channels import INVITE, split_channel
from worker.ledger.approval import WANTED
from worker.ledger.gates import Gate
from worker.ledger.model import Counts, JobState, Lane, Options
from worker.ledger.stages import Stage

GOING = "deleted"
"""Why a job is cancelled that is being removed."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it is shown. `state` is held where its connection's gate holds it."""

    id: str
    connection: str
    lane: Lane
    state: JobState
    why: str
    counts: Counts
    chunks: int
    open: int  # rows, and items of its stages, on the wire or in doubt right now
    created_at: datetime
    finished_at: datetime | None
    options: Options
    info: dict[str, Any]
    gate: Gate
    started_at: datetime | None = None  # when it was let run, by its submitter and by whoever had to approve it
    operation: str = INVITE
    tenant: str = ""  # the key of the one that it was accepted for; '' where that is not known
    pause: str = ""  # why it stays paused once it is approved, '' where it does not
    approval: str = ""  # who approved it; `approval.WANTED` while nobody has; '' where nobody needs to
    stages: Mapping[str, Counts] = field(default_factory=dict)  # by operation, in their order; `rows`: that ask for it
    stage_waits: Mapping[str, str] = field(default_factory=dict)  # by operation, what a stage that goes on waits for

    def told(self) -> dict[str, Any]:
        """Return the job's counts as people and programs read them; `stages` where it has any."""
        counts: dict[str, Any] = self.counts.told(self.operation)
        if self.stages:
            counts["stages"] = {name: stage.told(name) for name, stage in self.stages.items()}
        return counts

    def adds_up(self, *names: str) -> int:
        """Return how many rows and stages of rows stand so, by the fields of `Counts`."""
        every = (self.counts, *self.stages.values())
        return sum(getattr(counts, name) for counts in every for name in names)

    @property
    def began_at(self) -> datetime:
        """When its time begins to count: not while its list was read and thought about."""
        return self.started_at or self.created_at

    @property
    def awaits_approval(self) -> bool:
        """Whether nothing of it is sent before somebody approves it."""
        return self.approval == WANTED and self.state is JobState.HELD

    @property
    def is_going(self) -> bool:
        """Whether it is being removed just now."""
        return self.state is JobState.CANCELLED and self.why == GOING

    @property
    def is_accepted(self) -> bool:
        """Whether its rows were accepted, and it is there to stay."""
        return self.state is not JobState.LOADING and not self.is_going

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.finished_at is not None

    @property
    def waits_for_a_person(self) -> bool:
        """Whether the job itself is held, by a run of refusals, whatever its connection's gate
        says: `resume` or `cancel` ends that.
        """
        return self.state is JobState.HELD and not (self.gate.held and self.why == self.gate.why)


def read_view(job: str, fields: dict[bytes, bytes], gate: Gate, chain: Sequence[Stage] = ()) -> JobView:
    """Read a job's hash, beside what its connection's gate says, and its stages."""
    text = {key.decode(): value.decode("utf-8", "replace") for key, value in fields.items()}
    state, open_rows = JobState(text["state"]), int(text.get("open", 0))
    ended = [int(text.get(f"n:{letter}", 0)) for letter in "igkfu"]
    counts = Counts.read(int(text.get("rows", 0)), ended, open_rows, state)
    why = text.get("why", "")
    if state is JobState.RUNNING and (held := _find_hold(gate, chain, rows_left=counts.pending > 0)):
        state, why, gate = JobState.HELD, *held
    if pause := text.get("pause", ""):
        why += f" It is paused besides: approved, it waits for usher jobs resume {job}."
    connection, operation = split_channel(text["connection"])
    started, finished = text.get("started_at"), text.get("finished_at")
    return JobView(
        id=job,
        connection=connection,
        operation=operation,
        lane=Lane(text["lane"]),
        state=state,
        why=why,
        counts=counts,
        chunks=int(text.get("chunks", 0)),
        open=open_rows + sum(stage.open for stage in chain),
        created_at=_instant(text["created_at"]),
        finished_at=_instant(finished) if finished else None,
        started_at=_instant(started) if started else None,
        options=Options(**orjson.loads(text.get("options", "{}"))),
        info=orjson.loads(text.get("info", "{}")),
        gate=gate,
        pause=pause,
        approval=text.get("approval", ""),
        tenant=text.get("tenant", ""),
        stages={stage.operation: stage.counts for stage in chain},
        stage_waits={stage.operation: stage.why for stage in chain if stage.why and not stage.ended},
    )


def _find_hold(gate: Gate, chain: Sequence[Stage], *, rows_left: bool) -> tuple[str, Gate] | None:
    """Return why nothing of a running job can go on and the gate that says so, None where anything
    can. What is said of a stage names it.
    """
    if not chain:
        return (gate.why, gate) if gate.held else None
    stages = [stage for stage in chain if stage.waiting]
    if (rows_left and not gate.held) or not (rows_left or stages):
        return None
    if any(stage.state is not JobState.HELD for stage in stages):
        return None
    why = " ".join([gate.why] * rows_left + [f"Stage {stage.operation}: {stage.why}" for stage in stages])
    if any(not stage.gate.held for stage in stages):
        return why, gate  # a run of refusals, which only a person ends
    return why, replace(gate if rows_left else stages[0].gate, why=why)


def _instant(ms: str | int) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)
