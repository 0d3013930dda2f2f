"""A job waits for something, and takes some time yet: both are told as far as they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from config.errors import ConfigError
from tasks.telling.words import gate_words, utc_now
from worker.ledger.job_view import JobView
from worker.ledger.model import JobState
from worker.ledger.quota import Bucket, seconds_for_all
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from worker.services import Services

Limits = Mapping[str, Sequence[Bucket]]
"""What limits a job's operation and its stages, by their names."""


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


def find_limits(services: Services, view: JobView) -> Limits:
    """Return what limits a job and its stages; nothing where this machine does not know its
    connection, or an operation.
    """
    try:
        settings, connection = services.settings(), services.connection(view.connection)
        return {name: find_operation(name).buckets(settings, connection) for name in (view.operation, *view.stages)}
    except ConfigError:
        return {}


def least_s(view: JobView, limits: Limits) -> float:
    """Return how many seconds a whole job takes at least, as the quota goes. Pure."""
    counts = {view.operation: view.counts, **view.stages}
    return seconds_for_all((limits.get(name, ()), one.done + one.pending) for name, one in counts.items())


def left_s(view: JobView, rate: float, limits: Limits | None = None) -> float | None:
    """Seconds until the job ends at its present rate, and no less than the quota allows; None where
    nobody knows.

    What a full bucket lets through at once makes the first rate too good to last.
    """
    if rate <= 0 or view.state is not JobState.RUNNING:
        return None
    least = least_s(view, limits or {}) - (utc_now() - view.began_at).total_seconds()
    return max(view.counts.pending / rate, least)
