"""Why a chunk was given back before its last row, in the words that its log line and Flower say: what the rest waits for, and until when. Pure."""

from __future__ import annotations

_WAITING = {
    "quota": "waits for quota",
    "throttled": "waits because Microsoft throttles (429)",
    "away": "waits for Microsoft to answer",
    "look_up": "waits until the directory can be asked who is there already",
    "sign_in": "waits until signing in works (usher connections list)",
    "guest": "waits for another job that invites the same guests",
    "probation": "waits its turn: a connection that is new or was held sends one batch at a time",
    "approval": "waits for approval",
    "unknown": "waits for a worker that knows the connection",
    "redis": "waits for Redis",
    "daily_limit": "waits for the next day (daily_limit)",
    "held": "waits until the connection is reopened or tried again (usher connections list)",
    "tenant": "waits until the connection is reopened (usher connections list)",
    "epoch": "waits until the workers have agreed on what Redis remembers",
    "stopping": "waits for another worker, this one stops",
    "long": "goes on with the next run",
    "lease": "is another worker's now",
    "paused": "waits for the job to be resumed",
    "deleted": "is gone with its job",
}
"""Why it ended → what is said of the rest. Others (`cancelled`, …) are states of the job and said as such."""

_TIMED = frozenset({"quota", "throttled", "away", "look_up", "guest", "probation", "unknown"})
"""Where the time until the next try is known here. What is held waits for its gate."""


def describe_rest(why: str, wait_s: float) -> str:
    """Return what becomes of the rows that are left; '' where none are. `wait_s`: until they are offered again."""
    if not why:
        return ""
    words = _WAITING.get(why, f"is left, as the job is {why}")
    until = f", next try in {wait_s:.1f} s" if why in _TIMED and wait_s > 0 else ""
    return f"{words}{until}"


def describe_run(counts: str, rest: str, chunks: int = 1) -> str:
    """Return what a run came to and what it left: `140 invited in 2 chunks; the rest waits for quota, next try in 1.4 s`."""
    if chunks > 1:
        counts = f"{counts or 'nothing was left to send'} in {chunks} chunks"
    if not rest:
        return counts or "nothing was left to send"
    return f"{counts}; the rest {rest}" if counts else f"nothing sent yet; it {rest}"
