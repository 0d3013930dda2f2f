"""A job is loaded row by row, and its rows become chunks, which `jobs.py` writes."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from worker.ledger import packing
from worker.ledger.keys import Keys
from worker.ledger.model import Lane, Outcome, RowState
from worker.ledger.stages import NOT_ASKED

CHUNK_ROWS = 100
"""Rows in a chunk: the unit of storage, lease and message. Five full batches; larger ones delay
more when a worker dies.
"""
CHUNK_BYTES = 400
"""What Redis needs for a chunk besides its blobs: key, fields, table."""


STAGE_WAITS_S = 2.0
"""Items of a stage whose calls are of one row become a chunk so soon after the first of them."""
STAGE_GATHERS_S = 300.0
"""Items of one target, a call for many, are gathered so long; or until no more can come."""


@dataclass(slots=True)
class LoadingStage:
    """A stage of a job being loaded: who asks for it."""

    operation: str
    channel: str
    rows_a_call: int
    asked: int = 0
    unsent: int = 0  # of them, those that ended while they were loaded
    letters: list[str] = field(default_factory=list)  # of the chunk being filled

    def told(self) -> list[Any]:
        """Return what `start_job.lua` makes of it."""
        apart = self.rows_a_call > 1
        wait_s = STAGE_GATHERS_S if apart else STAGE_WAITS_S
        slice_ = self.rows_a_call if apart else CHUNK_ROWS
        return [self.operation, self.channel, slice_, int(apart), round(wait_s * 1000), self.asked, self.unsent]


@dataclass(frozen=True, slots=True)
class ReadyChunk:
    """A chunk as it is stored, and a letter a row for each stage that some row asks for."""

    number: int
    fields: dict[str, Any] = field(repr=False)
    guests: Mapping[str, str]


@dataclass(slots=True)
class Loading:
    """A job being loaded, chunk by chunk: what was put in so far."""

    id: str
    connection: str
    lane: Lane
    pilot: int = 0  # rows to send before a pause; 0: no pilot
    rows: int = 0
    to_send: int = 0
    chunks: int = 0
    pilot_chunks: int = 0
    bytes: int = 0  # of the chunks closed so far, as they are stored
    finished: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    stages: list[LoadingStage] = field(default_factory=list)
    heard_s: float = field(default_factory=time.monotonic)  # when the ledger last heard of us, on our clock
    _rows: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _letters: list[str] = field(default_factory=list)
    _outcomes: list[Outcome] = field(default_factory=list)
    _ready: list[ReadyChunk] = field(default_factory=list, repr=False)

    def put(self, row: dict[str, Any], outcome: Outcome | None = None, asks: Collection[str] = ()) -> None:
        """Add a row. One with an outcome has ended already (it is invalid, or a duplicate) and is
        never sent. `asks`: for these stages.
        """
        self.rows += 1
        for stage in self.stages:
            is_asked = stage.operation in asks
            stage.letters.append(NOT_ASKED if not is_asked else RowState.SKIPPED if outcome else RowState.PENDING)
            stage.asked += is_asked
            stage.unsent += is_asked and outcome is not None
        self._rows.append(row)
        self._letters.append(outcome.letter.value if outcome else RowState.PENDING.value)
        if outcome:
            index = len(self._rows) - 1
            self._outcomes.append(replace(outcome, index=index))
            self.finished[outcome.letter.value] = self.finished.get(outcome.letter.value, 0) + 1
        else:
            self.to_send += 1
        ends_pilot = outcome is None and self.to_send == self.pilot
        if ends_pilot or len(self._rows) == CHUNK_ROWS:
            self.close_chunk()
        if ends_pilot:
            self.pilot_chunks = self.chunks

    @property
    def pilot_end(self) -> int:
        """Ended rows at which the job pauses, 0 without a pilot: those that enter with an outcome,
        wherever they stand, and the pilot's.
        """
        return self.pilot + sum(self.finished.values()) if 0 < self.pilot < self.to_send else 0

    def told(self, keys: Keys, tenant: str) -> tuple[list[str], list[Any]]:
        """Return what `start_job.lua` is called with. `tenant`: '' where nobody knows."""
        counts = [value for letter, count in self.finished.items() for value in (letter, count)]
        stages = [stage.told() for stage in self.stages if stage.asked]
        return [keys.job(self.id), keys.connections(), keys.loading()], [
            *(keys.prefix, self.id, self.connection, self.lane.value),
            *(self.rows, self.chunks, self.pilot_end, self.pilot_chunks, tenant),
            *(orjson.dumps(stages) if stages else b"", *counts),
        ]

    def close_chunk(self) -> None:
        """End the chunk being filled, if it has any row."""
        if not self._rows:
            return
        fields: dict[str, Any] = {
            "base": self.rows - len(self._rows) + 1,
            "st": "".join(self._letters),
            "rows": packing.pack_rows(self._rows),
        }
        if self._outcomes:
            fields |= {"no": 1, "o1": packing.pack_outcomes(self._outcomes)}
        guests = {stage.operation: "".join(stage.letters) for stage in self.stages if set(stage.letters) != {NOT_ASKED}}
        for stage in self.stages:
            stage.letters = []
        self._ready.append(ReadyChunk(self.chunks, fields, guests))
        self.bytes += sum(len(value) for value in fields.values() if not isinstance(value, int)) + CHUNK_BYTES
        self.chunks += 1
        self._rows, self._letters, self._outcomes = [], [], []

    def take_ready(self, least: int = 1) -> list[ReadyChunk]:
        """Return the closed chunks not yet written, if there are at least that many."""
        if len(self._ready) < least:
            return []
        ready, self._ready = self._ready, []
        return ready
