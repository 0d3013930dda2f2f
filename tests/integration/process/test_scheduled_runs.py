"""Runs of schedules leave a worker's threads to others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import kombu as untyped
import pytest

import tasks.scheduled.firing as firing
import worker.app  # noqa: F401 - it guards the broker
from tests.processes import wait_until
from worker.ledger.timetable import ScheduledRun
from worker.process.process_settings import celery_url
from worker.process.scheduled_runs import ScheduledRuns, most_runs_of, runs
from worker.queues import PRODUCERS, SCHEDULES

kombu: Any = untyped


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScheduledRuns]:
    """Two places of this process."""
    monkeypatch.setattr(runs, "places", 2)
    yield runs
    assert not runs._going


def test_while_there_are_enough_none_is_fetched(places: ScheduledRuns, valkey_url: str) -> None:
    """Messages of others come meanwhile, in turn; a run that has ended makes room."""
    came: list[str] = []
    exchange = kombu.Exchange("", "direct", durable=True)
    queues = [kombu.Queue(name, exchange, routing_key=name) for name in (SCHEDULES, PRODUCERS)]
    options = {"global_keyprefix": "two-places:"}
    with kombu.Connection(celery_url(valkey_url), transport_options=options) as connection, ExitStack() as ending:
        producer = kombu.Producer(connection)
        for name, count in ((SCHEDULES, 4), (PRODUCERS, 3)):
            for _ in range(count):
                producer.publish(
                    json.dumps([]), routing_key=name, content_type="application/json", headers={"task": name}
                )

        def take(message: Any) -> None:
            came.append(message.delivery_info["routing_key"])
            if came[-1] == SCHEDULES:
                ending.enter_context(places.one())
            message.ack()

        def drained(wanted: int) -> bool:
            while len(came) < wanted:
                connection.drain_events(timeout=5)
            return True

        with kombu.Consumer(connection, queues, on_message=take):
            drained(5)
            assert sorted(came) == sorted([SCHEDULES] * 2 + [PRODUCERS] * 3)
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=1.5)
            ending.close()
            drained(7)
    assert came[5:] == [SCHEDULES] * 2


def test_a_worker_has_threads_beside_them() -> None:
    """Also one of few."""
    assert {threads: most_runs_of(threads) for threads in (1, 2, 4, 8, 256)} == {1: 1, 2: 1, 4: 3, 8: 6, 256: 64}


def test_a_run_takes_a_place_while_it_lasts(places: ScheduledRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives it back whatever became of it."""
    seen = []

    async def fire(**given: Any) -> ScheduledRun:
        with places.one():
            seen.append(places.full)
        raise RuntimeError(given["name"])

    monkeypatch.setattr(firing, "_fire", fire)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            firing.scheduled(name="x", due_ms=1)
    assert seen == [True, True]
    wait_until(lambda: not places.full, 1, "its place")
