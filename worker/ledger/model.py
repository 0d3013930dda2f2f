"""The ledger's words are values here: states, offers, leases, grants, outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import compress
from typing import Any

from worker.channels import INVITE
from worker.ledger.why_waiting import Rest

Row = Mapping[str, Any]
"""One guest as asked for: email, and whatever else of the input's columns was given."""


STAGES_DONE = "stages_done"
"""Of a root's row: the stages that an earlier run has done for it, which it does not ask for. No
column, and nothing that a message may bring.
"""
NEW_EMAIL = "new_email"
"""Of a row whose guest is to have another address."""
RESEND = "resend"
"""Of a root's row tried again: its guest is mailed on purpose (`is_resent`). No column."""


class RowState(StrEnum):
    """A row's letter in its chunk's state string, as in the scripts (`scripts/_common.lua`)."""

    PENDING = "."
    PENDING_SILENT = "q"  # to be sent again, without Graph's mail or in a call of its own
    SENDING = "s"
    IN_DOUBT = "d"
    DONE = "i"
    ALREADY = "g"
    SKIPPED = "k"
    FAILED = "f"
    LEFT_IN_DOUBT = "u"  # final: nobody can find out, a person is told


STATUS_OF = {
    RowState.PENDING: "pending",
    RowState.PENDING_SILENT: "pending",
    RowState.SENDING: "pending",
    RowState.IN_DOUBT: "pending",
    RowState.DONE: "invited",
    RowState.ALREADY: "already_guest",
    RowState.SKIPPED: "skipped",
    RowState.FAILED: "failed",
    RowState.LEFT_IN_DOUBT: "in_doubt",
}
"""What a person reads of each letter, as long as the job was not cancelled."""

_OTHERS = {RowState.DONE: "done", RowState.ALREADY: "already"}
"""What programs read of the first two, of whatever is not an invitation."""


def status_of(letter: RowState, operation: str) -> str:
    """Return what programs read of a letter: in results, counts and the audit trail."""
    return STATUS_OF[letter] if operation == INVITE else _OTHERS.get(letter) or STATUS_OF[letter]


FINAL = frozenset("igkfu")


class JobState(StrEnum):
    """The states of a job. `held` is stored for a run of refusals alone: a running job whose
    connection is held shows as held.
    """

    LOADING = "loading"
    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"
    DONE = "done"
    CANCELLED = "cancelled"


class Lane(StrEnum):
    """The kinds of work that a ticket may stand for."""

    BULK = "b"
    NOW = "i"  # interactive: somebody is waiting
    DOUBT = "d"  # looking up rows in doubt


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket names one offer, then the lease that grew from it. Its fence is never reused."""

    job: str
    chunk: int
    fence: int
    connection: str
    lane: Lane

    @classmethod
    def parse(cls, text: str) -> Ticket:
        """Read the text form; raises ValueError for anything else."""
        job, chunk, fence, connection, lane = text.split(":")
        return cls(job, int(chunk), int(fence), connection, Lane(lane))

    def __str__(self) -> str:
        return f"{self.job}:{self.chunk}:{self.fence}:{self.connection}:{self.lane.value}"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a whole job, which go before the connection's own settings."""

    resend: bool = False
    send_message: bool | None = None
    redirect_url: str | None = None
    message: str | None = None
    language: str | None = None
    deliver: str | None = None
    """Who mails the job's guests, of the connection's settings when it was submitted; None: as they
    are now (of a job by an usher that did not keep it).
    """
    template: str | None = None  # of usher's own mails, where it is not `invite`


def is_resent(row: Row, options: Options) -> bool:
    """Whether a row's guest is mailed on purpose, invited before or not: the whole job is
    (`--resend`), or the row alone, which is tried again.
    """
    return options.resend or bool(row.get(RESEND))


def find_resent(rows: Sequence[Row], indexes: Sequence[int], options: Options) -> Sequence[int]:
    """Return which of some rows are resent (`is_resent`)."""
    return indexes if options.resend else [index for index in indexes if rows[index].get(RESEND)]


@dataclass(slots=True, eq=False)
class Lease:
    """A chunk in work: what the claim returned, and whether the renewal found it lost since."""

    ticket: Ticket
    letters: str
    attempts: str
    rows: list[dict[str, Any]] = field(repr=False)
    base: int  # job-wide number of its first row, from 1
    options: Options
    blobs: int  # outcome blobs recorded in the chunk so far
    chunks: int  # of the job
    checked_at_ms: int = 0  # when its rows were last looked up before a first send; 0: never
    checked_in: str | None = None  # they were just now, in this epoch: noted with the next batch
    suspect: bool = False  # rows of its job may have left without the ledger's knowledge: it is older than the server
    stages: tuple[str, ...] = ()  # that its rows feed when they end
    lost: bool = False
    packed: bytes = field(default=b"", repr=False)  # its rows as the ledger has them (`packing.pack_rows`)
    known: Mapping[int, RowState | int] = field(default_factory=dict)
    """Of a stage's rows that a failover lost: how they ended, or when they were sent (ms)."""
    tenant: str = ""  # the key of the one that its job was accepted for; '' where that is not known

    def pending(self) -> list[int]:
        """Indexes of the rows left to send."""
        return list(_find_pending(self.letters))


@lru_cache(maxsize=1024)  # asked some ten times a chunk, and most chunks look alike
def _find_pending(letters: str) -> tuple[int, ...]:
    return tuple(compress(range(len(letters)), map(".q".__contains__, letters)))


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """A chunk's place in the index of guests: the tenant's part of the index, and the hash of each
    row's address.
    """

    base: str
    hashes: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row whose guest was invited lately; the index says when (seconds since the epoch, on
    Redis's clock) and by which job.
    """

    index: int
    at_s: int
    job: str


@dataclass(slots=True)  # not frozen: there is one for every row, and a frozen one takes five times as long to make
class GrantedRow:
    """A row that was just marked sending."""

    index: int
    attempt: int
    silent: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant is the answer of `begin_batch`: rows to send at once, or why not and for how long."""

    rows: tuple[GrantedRow, ...] = ()
    batch: int = 0
    begun_at_ms: int = 0
    probe: bool = False
    known: tuple[KnownRow, ...] = ()  # not to be sent again
    blocked: tuple[int, ...] = ()  # the same guest is on the wire for another job: to be asked for again later
    why: Rest | None = None  # none was granted; None: some were, or those that are left are all known or blocked
    wait_s: float = 0.0
    probation: bool = False  # the only batch of its connection on the wire; to be counted if all went well
    jobs: int = 0  # why "quota": jobs of the connection that take turns
    tries_quota: bool = False  # a single row, to see whether a throttled quota lets anything through


@dataclass(slots=True)  # not frozen, like the one above; nobody changes one
class Outcome:
    """An outcome records how one row went. `letter` is final, pending again, or in doubt."""

    index: int
    letter: RowState
    user_id: str = ""
    invitation_id: str = ""
    redeem_url: str = field(default="", repr=False)
    mail: str = ""  # "requested" where Graph was asked to send its mail, "none" where not; never a claim of delivery
    code: str = ""
    message: str = ""
    request_id: str = ""
    attempts: int = 0
    at_ms: int = 0
    wait_s: float = 0.0  # of a row in doubt: when to look again
    attempted_at_ms: int = 0  # of a row that was looked up: the attempt that this is about


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """A whole chunk as one process knows it: if the ledger agrees, it is stored as finished
    together with its last outcomes.
    """

    rows: Sequence[Row] = field(repr=False)
    outcomes: Sequence[Outcome]  # of each row
    blobs: int  # in which the ledger has those recorded before
    base: int = 1  # job-wide number of its first row
    packed: bytes = field(default=b"", repr=False)  # the rows as the ledger has them, where that is at hand
    whole: bool = False  # all of each row is kept: a stage of a good one may have to be tried again


@dataclass(frozen=True, slots=True)
class Refusals:
    """A batch's refusals, row by row: too many of them hold the job (`record_batch.lua`)."""

    in_a_row: int  # so many hold the job; 0: none do
    share: float  # more than this share of the first 100 answers holds it; 1.0: none does
    marks: tuple[str, ...]  # of each outcome: "-" not counted, "o" good, "x" refused, "d…" refused with its domain


@dataclass(frozen=True, slots=True)
class Recorded:
    """The chunk and its job after a batch was recorded."""

    pending: int
    open: int
    job_state: str
    blob: int  # number of the blob that holds what was recorded; 0: nothing was
    gone: bool = False
    folded: bool = False  # the chunk was stored as finished


@dataclass(frozen=True, slots=True)
class Counts:
    """A job in numbers, named as they are told to people and programs. `rows` is every input row
    and the sum of the others.
    """

    rows: int = 0
    done: int = 0
    already: int = 0
    skipped: int = 0
    failed: int = 0
    in_doubt: int = 0
    pending: int = 0
    cancelled: int = 0

    @classmethod
    def read(cls, rows: int, ended: Sequence[int], open_rows: int, state: JobState) -> Counts:
        """Return the counts of a job, `ended` in the order of the fields. Of a cancelled job only
        what is open is still to end.
        """
        left = rows - sum(ended)
        cancelled = max(0, left - open_rows) if state is JobState.CANCELLED else 0
        done, already, skipped, failed, in_doubt = ended
        return cls(rows, done, already, skipped, failed, in_doubt, left - cancelled, cancelled)

    def told(self, operation: str) -> dict[str, int]:
        """Return the counts by the names that `operation` gives them."""
        names = {"done": status_of(RowState.DONE, operation), "already": status_of(RowState.ALREADY, operation)}
        return {names.get(name, name): count for name, count in asdict(self).items()}

    @property
    def finished(self) -> int:
        """Rows that have an outcome."""
        return self.rows - self.pending
