"""A snapshot of the ledger becomes Prometheus metrics: names, units and labels are promises to
whoever alerts on them. Pure.

docs/metrics.md lists each one, and a test holds the two together. Labels are bounded: connections
beyond a cap are added up as `other`.
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.channels import split_channel
from worker.ledger.meters import BOUNDS, read_sum
from worker.ledger.model import STATUS_OF, RowState, status_of

if TYPE_CHECKING:
    from worker.metrics.snapshot import ConnectionSnapshot, Snapshot

MOST_NAMES = 100
"""Connections (and schedules) with a label of their own. With some 60 series each, 100 are what a
small Prometheus takes lightly.
"""
OTHER: Final = "other"
ENDS: Final = "igkfu"
RESOLUTIONS: Final = {
    **{letter: STATUS_OF[RowState(letter)] for letter in "igf"},
    ".": "sent_again",
    "q": "sent_again",
    "u": "left_in_doubt",
}
_JOB_STATES = ("loading", "running", "paused", "held", "done", "cancelled")
_WAITING_STATES = ("running", "paused", "held")


def outcomes_of(channel: str) -> dict[str, str]:
    """Return what is read of a channel's rows that ended, by letter."""
    _, operation = split_channel(channel)
    return {letter: status_of(RowState(letter), operation) for letter in ENDS} | {"c": "cancelled"}


@dataclass(slots=True)
class Names:
    """Who has a label of their own: once given it is kept, else sums would jump."""

    most: int = MOST_NAMES
    _own: set[str] = field(default_factory=set)

    def label(self, name: str) -> str:
        """Return a name's label."""
        if name not in self._own and len(self._own) < self.most:
            self._own.add(name)
        return name if name in self._own else OTHER


def build_metrics(look: Snapshot | None, version: str, connections: Names, schedules: Names) -> Iterator[Metric]:
    """Return every metric of one look; None: that the ledger cannot be read, and no more."""
    yield _gauge("usher_build_info", "Version of the usher that serves this.", ("version",), {(version,): 1})
    yield _gauge(
        "usher_ledger_up", "Whether the ledger (Redis) could be read: 1 or 0.", (), {(): int(look is not None)}
    )
    if look is None:
        return
    for name in look.connections:
        connections.label(name)
    yield from _rows(look, connections)
    yield from _gates(look, connections)
    yield from _tenants(look, connections)
    yield from _calls(look, connections)
    yield from _machinery(look, schedules)


def build_registry(metrics: Iterable[Metric]) -> CollectorRegistry:
    """Return metrics in the shape that Prometheus's own encoders take."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(list(metrics)))
    return registry


class _Fixed(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _rows(look: Snapshot, names: Names) -> Iterator[Metric]:
    def of(value: Callable[[ConnectionSnapshot], float]) -> dict[tuple[str, ...], float]:
        return _sum((((names.label(name),), value(one)) for name, one in look.connections.items()))

    ended = _sum(
        ((names.label(name), word), one.ended.get(letter, 0))
        for name, one in look.connections.items()
        for letter, word in outcomes_of(name).items()
    )
    resolved = _sum(
        ((names.label(name), word), one.resolved.get(letter, 0))
        for name, one in look.connections.items()
        for letter, word in RESOLUTIONS.items()
    )
    backlog = _sum(
        ((names.label(name), state), one.backlog[state])
        for name, one in look.connections.items()
        for state in _WAITING_STATES
    )
    by_name = ("connection",)
    yield _counter("usher_rows_accepted", "Rows of jobs that were accepted.", by_name, of(lambda one: one.accepted))
    yield _counter("usher_rows", "Rows that ended, by outcome.", ("connection", "outcome"), ended)
    yield _counter(
        "usher_doubts_resolved",
        "Rows that were in doubt, by what was found out.",
        ("connection", "resolution"),
        resolved,
    )
    yield _gauge(
        "usher_backlog_rows", "Rows without an outcome, by their job's state.", ("connection", "state"), backlog
    )
    yield _gauge(
        "usher_rows_due", "Rows that could be sent now: gate open, tokens there.", by_name, of(lambda c: c.due)
    )
    yield _gauge("usher_rows_in_doubt", "Rows sent, answer never seen, not settled.", by_name, of(lambda c: c.doubts))
    oldest = _reduce(max, (((names.label(name),), one.oldest_doubt_s) for name, one in look.connections.items()))
    yield _gauge("usher_rows_in_doubt_oldest_seconds", "Since the oldest row in doubt was sent.", by_name, oldest)
    yield _gauge("usher_jobs", "Jobs in the ledger.", ("state",), {(state,): look.jobs[state] for state in _JOB_STATES})


def _gates(look: Snapshot, names: Names) -> Iterator[Metric]:
    by_name, by_bucket = ("connection",), ("connection", "bucket")
    each = [(names.label(name), one) for name, one in look.connections.items()]
    levels = [((name, bucket), level) for name, one in each for bucket, level in one.levels.items()]
    throttled = _sum(((name,), one.throttled) for name, one in each)
    yield _counter("usher_throttled", "429s that closed a gate.", by_name, throttled)
    closed = _sum(((name,), one.closed_s) for name, one in each)
    yield _counter("usher_gate_closed_seconds", "Seconds for which 429s closed the gate.", by_name, closed)
    is_open = _reduce(min, (((name,), int(one.is_open)) for name, one in each))
    text = "Whether anything may be sent: 1 open, 0 closed for a time, or held."
    yield _gauge("usher_gate_open", text, by_name, is_open)
    held = _reduce(max, (((name, one.held), 1) for name, one in each if one.held))
    yield _gauge("usher_gate_held", "1 for each connection that is held, with what for.", ("connection", "kind"), held)
    tokens = _reduce(min, ((labels, level.tokens) for labels, level in levels))
    yield _gauge("usher_quota_tokens", "Rows that a bucket lets through now.", by_bucket, tokens)
    limit = _reduce(min, ((labels, level.limit) for labels, level in levels))
    yield _gauge("usher_quota_limit_tokens", "Rows that a full bucket lets through.", by_bucket, limit)
    ends = (((name,), one.credential_ends_s) for name, one in each if one.credential_ends_s is not None)
    text = "When the connection's credential ends, where that is known."
    yield _gauge("usher_credential_expires_timestamp_seconds", text, by_name, _reduce(min, ends))


def _tenants(look: Snapshot, names: Names) -> Iterator[Metric]:
    """What was last seen of each tenant; nothing of those that nobody has looked at."""
    by_name, states = ("connection",), ("accepted", "pending", "unknown")
    seen = [(names.label(name), one) for name, one in look.seen.items()]
    guests = [(name, one.guests, one.guests_at_s) for name, one in seen if one.guests is not None]
    due = [(name, one.due, one.due_at_s) for name, one in seen if one.due is not None]
    counted = _sum(((name, state), getattr(counts, state)) for name, counts, _ in guests for state in states)
    text = "Guests of the tenant when all were last listed, by state."
    yield _gauge("usher_guests", text, ("connection", "state"), counted)
    disabled = _sum(((name,), counts.disabled) for name, counts, _ in guests)
    yield _gauge("usher_guests_disabled", "Those of them who may not sign in.", by_name, disabled)
    listed = _reduce(min, (((name,), at_s) for name, _, at_s in guests))
    yield _gauge("usher_guests_listed_timestamp_seconds", "When that was.", by_name, listed)
    wanted = _sum(((name, operation), number) for name, counts, _ in due for operation, number in counts.items())
    text = "Guests to whom the policy would have done this when it was last evaluated."
    yield _gauge("usher_guests_due", text, ("connection", "operation"), wanted)
    evaluated = _reduce(min, (((name,), at_s) for name, _, at_s in due))
    yield _gauge("usher_guests_due_timestamp_seconds", "When that was.", by_name, evaluated)
    ends = (((name,), one.secret_ends_s) for name, one in seen if one.secret_ends_s is not None)
    text = "When the first secret or certificate of any application of the tenant ends."
    yield _gauge("usher_secret_expires_timestamp_seconds", text, by_name, _reduce(min, ends))


def _calls(look: Snapshot, names: Names) -> Iterator[Metric]:
    def of(meter: str, parts: int) -> dict[tuple[str, ...], float]:
        return _sum(
            ((names.label(connection), *label.split("|", parts - 1)), count)
            for connection, label, count in _read_meter(look.counts, meter)
        )

    yield _counter("usher_graph_calls", "HTTP calls to Graph.", ("connection", "status"), of("calls", 1))
    yield _counter(
        "usher_graph_requests",
        "Requests in those calls, members of a batch one by one.",
        ("connection", "operation", "status"),
        of("requests", 2),
    )
    yield _counter("usher_token_requests", "Sign-ins at Entra.", ("connection", "result"), of("tokens", 1))
    yield _histogram("usher_batch_seconds", "Time of a batch of requests.", "batch_seconds", look, names)
    yield _histogram("usher_batch_rows", "Rows in a batch of requests.", "batch_rows", look, names)


def _machinery(look: Snapshot, schedules: Names) -> Iterator[Metric]:
    again, lost = (look.counts.get(f"{meter}||", 0) for meter in ("offers_again", "leases_lost"))
    yield _counter("usher_offers_again", "Offers that nobody claimed and that were made again.", (), {(): again})
    yield _counter("usher_leases_lost", "Leases that ended without their worker.", (), {(): lost})
    yield _gauge("usher_workers", "Workers seen in the last 10 seconds.", (), {(): look.workers})
    yield _gauge("usher_seats", "Their places for chunks.", (), {(): look.seats})
    yield _gauge("usher_seats_used", "Places offered or in use.", (), {(): look.seats_used})
    yield _gauge("usher_beats", "Beats at work: 1, or 0 (a spare one does not show).", (), {(): look.beats})
    yield _gauge("usher_schedules", "Schedules that are switched on.", (), {(): len(look.schedule_lags_s)})
    lags = _reduce(max, (((schedules.label(name),), lag) for name, lag in look.schedule_lags_s.items()))
    yield _gauge("usher_schedule_lag_seconds", "How overdue a schedule is; 0 while it is not.", ("schedule",), lags)
    yield _gauge("usher_redis_memory_used_bytes", "Memory that Redis uses.", (), {(): look.memory_used})
    yield _gauge(
        "usher_redis_memory_limit_bytes", "Its maxmemory, else the memory of its machine.", (), {(): look.memory_limit}
    )


def _read_meter(counts: Mapping[str, int], meter: str) -> Iterator[tuple[str, str, int]]:
    for key, count in counts.items():
        name, connection, label = key.split("|", 2)
        if name == meter:
            yield connection, label, count


def _histogram(name: str, text: str, meter: str, look: Snapshot, names: Names) -> Metric:
    metric = HistogramMetricFamily(name, text, labels=["connection"])
    counted: dict[str, Counter[str]] = {}
    for connection, label, count in _read_meter(look.counts, meter):
        counted.setdefault(names.label(connection), Counter())[label] += count
    for connection, counts in sorted(counted.items()):
        buckets, so_far = [], 0
        for bound in (*(f"{bound:g}" for bound in BOUNDS[meter]), "+Inf"):
            so_far += counts[bound]
            buckets.append((bound if bound == "+Inf" else str(float(bound)), float(so_far)))
        metric.add_metric([connection], buckets, read_sum(counts["sum"]))
    return metric


def _sum(values: Iterable[tuple[tuple[str, ...], float]]) -> dict[tuple[str, ...], float]:
    return _reduce(lambda one, other: one + other, values)


def _reduce(
    join: Callable[[float, float], float], values: Iterable[tuple[tuple[str, ...], float]]
) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for labels, value in values:
        found[labels] = join(found[labels], value) if labels in found else value
    return found


def _counter(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    return _fill(CounterMetricFamily(name, text, labels=labels), values)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    return _fill(GaugeMetricFamily(name, text, labels=labels), values)


def _fill(metric: CounterMetricFamily | GaugeMetricFamily, values: Mapping[tuple[str, ...], float]) -> Metric:
    for labels, value in sorted(values.items()):
        metric.add_metric(list(labels), value)
    return metric
