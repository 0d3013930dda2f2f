"""A closed set says why rows wait, with the words that a log line and Flower say, and until when.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rest(StrEnum):
    """Why a chunk is given back before its last row, or `begin_batch` lets none of it go."""

    QUOTA = "quota"
    THROTTLED = "throttled"
    AWAY = "away"  # Graph
    LOOK_UP = "look_up"
    DIRECTORY = "directory"
    LATER = "later"
    SIGN_IN = "sign_in"
    GUEST = "guest"
    PROBATION = "probation"
    APPROVAL = "approval"
    UNKNOWN = "unknown"
    REDIS = "redis"
    DAILY_LIMIT = "daily_limit"
    GATE = "held"
    TENANT = "tenant"
    OTHER_TENANT = "other_tenant"
    EPOCH = "epoch"
    STOPPING = "stopping"
    LONG = "long"
    LEASE = "lease"
    NOTHING = "nothing"
    BROKEN = "broken"  # in a way nobody thought of: the log has it
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    LOADING = "loading"
    DELETED = "deleted"


WORDS = {
    Rest.QUOTA: "waits for quota",
    Rest.THROTTLED: "waits because Microsoft throttles (429)",
    Rest.AWAY: "waits for Microsoft, or the mail server, to answer",
    Rest.LOOK_UP: "waits until the directory can be asked who is there already",
    Rest.DIRECTORY: "waits until the directory knows the guest",
    Rest.LATER: "waits, as these rows were refused for now",
    Rest.SIGN_IN: "waits until signing in works (usher connections list)",
    Rest.GUEST: "waits for another job that invites the same guests",
    Rest.PROBATION: "waits its turn: a connection that is new or was held sends one batch at a time",
    Rest.APPROVAL: "waits for approval",
    Rest.UNKNOWN: "waits for a worker that knows the connection",
    Rest.REDIS: "waits for Redis",
    Rest.DAILY_LIMIT: "waits for the next day (daily_limit)",
    Rest.GATE: "waits until the connection is reopened or tried again (usher connections list)",
    Rest.TENANT: "waits until the connection is reopened (usher connections list)",
    Rest.OTHER_TENANT: "waits, as the connection stands for another tenant now",
    Rest.EPOCH: "waits until the workers have agreed on what Redis remembers",
    Rest.STOPPING: "waits for another worker, this one stops",
    Rest.LONG: "goes on with the next run",
    Rest.LEASE: "is another worker's now",
    Rest.NOTHING: "was taken up by another run",
    Rest.BROKEN: "is tried again in a minute, as this run failed (see the log)",
    Rest.PAUSED: "waits for the job to be resumed",
    Rest.CANCELLED: "is left, as the job is cancelled",
    Rest.DONE: "is left, as the job is done",
    Rest.LOADING: "is left, as the job is loading",
    Rest.DELETED: "is gone with its job",
}
"""What is said of the rows that are left."""

_TIMED = frozenset(
    {
        *(Rest.QUOTA, Rest.THROTTLED, Rest.AWAY, Rest.LOOK_UP, Rest.DIRECTORY, Rest.LATER, Rest.GUEST),
        *(Rest.PROBATION, Rest.UNKNOWN),
    }
)
"""Where the time until the next try is known here. What is held waits for its gate."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop says why work on a chunk, or on some of its rows, cannot go on now."""

    why: Rest
    wait_s: float = 0.0  # until its connection is offered work again
    put_off_s: float = 0.0  # until this chunk is, whatever the others of its connection do

    def describe(self) -> str:
        """Return what becomes of the rows that are left."""
        wait_s = max(self.wait_s, self.put_off_s)
        until = f", next try in {wait_s:.1f} s" if self.why in _TIMED and wait_s > 0 else ""
        return f"{WORDS[self.why]}{until}"


def describe_run(counts: str, rest: str, chunks: int = 1) -> str:
    """Return what a run came to and what it left: `140 invited in 2 chunks; the rest waits for
    quota, next try in 1.4 s`.
    """
    if chunks > 1:
        counts = f"{counts or 'nothing was left to send'} in {chunks} chunks"
    if not rest:
        return counts or "nothing was left to send"
    return f"{counts}; the rest {rest}" if counts else f"nothing sent yet; it {rest}"
