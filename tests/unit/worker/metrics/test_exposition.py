"""What is exposed: the names that docs/metrics.md promises, bounded labels, histograms that add
up.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from tests.scrapes import Series, pick, read_page
from worker.graph.batch import Fate, GraphAnswer
from worker.ledger.guests.last_seen import GuestCounts, Sighting
from worker.ledger.meters import BOUNDS, Meters
from worker.metrics.exposition import MOST_NAMES, Names, build_metrics, build_registry
from worker.metrics.snapshot import ConnectionSnapshot, Level, Snapshot

PAGE = (Path(__file__).resolve().parents[4] / "docs/metrics.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| `(usher_\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", PAGE, re.MULTILINE)


def a_connection() -> ConnectionSnapshot:
    """One with something of everything."""
    return ConnectionSnapshot(
        accepted=10,
        ended={"i": 4, "c": 1},
        resolved={"i": 1, "q": 2, ".": 3},
        held="tenant",
        is_open=False,
        backlog=Counter(running=5),
        levels={"writes": Level(7, 10)},
        credential_ends_s=1.0,
    )


def a_look(*names: str, counts: dict[str, int] | None = None) -> Snapshot:
    """A look at some connections."""
    return Snapshot(
        {name: a_connection() for name in names},
        counts or {},
        Counter(running=1),
        workers=1,
        seats=8,
        seats_used=2,
        memory_used=10,
        memory_limit=100,
        beats=1,
        schedule_lags_s={"nightly": 3.0},
        seen={
            name.partition("+")[0]: Sighting(GuestCounts(10, 6, 3, 1, 2), 5.0, 7.0, {"remind": 3, "disable": 1}, 6.0)
            for name in names
        },
    )


def page_of(look: Snapshot | None, names: Names | None = None) -> Series:
    """The page of a look, read as Prometheus would."""
    return read_page(generate_latest(build_registry(build_metrics(look, "1", names or Names(), Names()))).decode())


def everything() -> Snapshot:
    """A look in which each metric has at least one number."""
    meters = Meters()
    meters.batch("contoso", 20, 0.3)
    meters.answers("contoso", "invite", [GraphAnswer(Fate.ANSWERED, 201, {}, {}, "")])
    meters.graph_call(SimpleNamespace(name="contoso"), Fate.LOST, 0)
    meters.add("tokens", "contoso", "ok")
    return a_look("contoso", counts=dict(meters._counts))


def test_the_page_and_the_program_name_the_same_metrics() -> None:
    """Each documented metric is exposed with the documented type and labels, and none besides."""
    exposed = {}
    for metric in build_metrics(everything(), "1", Names(), Names()):
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels = {label for sample in metric.samples for label in sample.labels} - {"le"}
        assert metric.samples, f"{name} has no number in this test"
        exposed[name] = (metric.type, labels)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in LINES}
    assert exposed == documented


def test_each_metric_is_documented_once() -> None:
    """A second line would contradict the first one day."""
    assert len(LINES) == len({name for name, _, _ in LINES}) > 20


def test_connections_beyond_the_cap_are_added_up_as_other() -> None:
    """Nothing is lost from the sums, and the number of series stays bounded."""
    names = [f"c{number:04}" for number in range(MOST_NAMES + 50)]
    page = page_of(a_look(*names))
    labels = {dict(has)["connection"] for name, has in page if name == "usher_rows_accepted_total"}
    assert len(labels) == MOST_NAMES + 1
    assert pick(page, "usher_rows_accepted_total", connection="other") == 500
    assert pick(page, "usher_rows_accepted_total") == 10 * (MOST_NAMES + 50)
    assert pick(page, "usher_quota_tokens", connection="other") == 7


def test_a_label_once_given_is_kept() -> None:
    """A connection that is added later must not push another one's sums into `other`."""
    names = Names(2)
    page_of(a_look("m", "z"), names)
    page = page_of(a_look("a", "m", "z"), names)
    assert {dict(has)["connection"] for name, has in page if name == "usher_gate_open"} == {"m", "z", "other"}


def test_histograms_add_up() -> None:
    """Cumulative buckets, the last one being the count, and the sum of what was observed."""
    meters = Meters()
    for rows, seconds in ((20, 0.05), (20, 0.25), (3, 99.0)):
        meters.batch("contoso", rows, seconds)
    page = page_of(a_look("contoso", counts=dict(meters._counts)))
    assert pick(page, "usher_batch_seconds_bucket", le="0.1") == 1
    assert pick(page, "usher_batch_seconds_bucket", le="0.25") == 2
    assert pick(page, "usher_batch_seconds_bucket", le="25.0") == 2
    assert pick(page, "usher_batch_seconds_bucket", le="+Inf") == pick(page, "usher_batch_seconds_count") == 3
    assert pick(page, "usher_batch_seconds_sum") == pytest.approx(99.3)
    assert pick(page, "usher_batch_rows_sum") == 43
    assert max(BOUNDS["batch_rows"]) == 20


def test_a_ledger_that_is_away_shows_nothing_stale() -> None:
    """Neither zeros nor old numbers: an alert on them would be about nothing."""
    assert {name for name, _ in page_of(None)} == {"usher_build_info", "usher_ledger_up"}


def test_a_stages_rows_are_counted_in_words_of_their_own() -> None:
    """`contoso+groups` invites nobody."""
    page = page_of(a_look("contoso", "contoso+groups"))
    assert pick(page, "usher_rows_total", connection="contoso", outcome="invited") == 4
    assert pick(page, "usher_rows_total", connection="contoso+groups", outcome="done") == 4
    told = {dict(has).get("outcome") for _, has in page if dict(has).get("connection") == "contoso+groups"}
    assert not told & {"invited", "already_guest"}
