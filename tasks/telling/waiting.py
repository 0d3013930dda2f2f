"""A job waits for something, and takes some time yet: both are told as far as they are known."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.telling.words import gate_words, utc_now
from worker.ledger.job_view import JobView
from worker.ledger.model import JobState
from worker.ledger.quota import Bucket, seconds_for


def waiting_words(view: JobView) -> str:
    """What a job waits for, '' while it simply runs."""
    if view.state is JobState.PAUSED:
        return "Pausing: waiting for what is on the wire." if view.open else ""
    if view.state is JobState.HELD and not view.gate.held:
        return view.why
    stages = (
        (f"Stage {name}: {why}" for name, why in view.stage_waits.items()) if view.state is JobState.RUNNING else ()
    )
    return " ".join(filter(None, (gate_words(view.gate, utc_now()), *stages)))


def left_s(view: JobView, rate: float, buckets: Sequence[Bucket] = ()) -> float | None:
    """Seconds until the job ends at its present rate, and no less than the quota allows; None where
    nobody knows.

    What a full bucket lets through at once makes the first rate too good to last.
    """
    if rate <= 0 or view.state is not JobState.RUNNING:
        return None
    counts = view.counts
    least_s = seconds_for(buckets, counts.done + counts.pending) - (utc_now() - view.began_at).total_seconds()
    return max(counts.pending / rate, least_s)
