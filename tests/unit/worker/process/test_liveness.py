"""The file that says a worker lives: renewed while it can work, not while it cannot, gone with
it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import pytest

from tests.processes import wait_until
from worker.process.beat import UsherScheduler
from worker.process.liveness import ProbeFile


def test_it_is_renewed_only_while_the_process_answers(tmp_path: Path) -> None:
    """A loop that hangs lets the file grow old; one that turns again renews it; at the end it is
    gone.
    """
    path, turns, asked = tmp_path / "alive", threading.Event(), threading.Semaphore(0)
    turns.set()

    def answers(_: float) -> bool:
        asked.release()
        return turns.is_set()

    probe_file = ProbeFile(path, answers, every_s=0.01)
    probe_file.start()
    wait_until(path.exists, 10, "a first sign")
    turns.clear()
    for _ in range(3):  # whatever was under way has ended by then
        assert asked.acquire(timeout=10)
    os.utime(path, (1, 1))
    for _ in range(20):
        assert asked.acquire(timeout=10)
    assert path.stat().st_mtime == 1
    turns.set()
    wait_until(lambda: path.stat().st_mtime > 1, 10, "a new sign")
    probe_file.stop()
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With what it means: the probe will kill a worker that is well."""
    asked = threading.Semaphore(0)

    def answers(_: float) -> bool:
        asked.release()
        return True

    with caplog.at_level(logging.ERROR):
        probe_file = ProbeFile(tmp_path / "no" / "alive", answers, every_s=0.01)
        probe_file.start()
        for _ in range(5):
            assert asked.acquire(timeout=10)
        probe_file.stop()
    assert [record.getMessage().count("take this process for dead") for record in caplog.records] == [1]


def test_a_beat_that_hangs_in_a_tick_shows_no_life() -> None:
    """Its process is there, and nothing fires any more; one that waits for its turn does not tick,
    and is well.
    """
    now_s = time.monotonic()
    turned = {"just now": now_s, "long ago": now_s - 3600}
    shown = {}
    for when, turned_s in turned.items():
        for whose, lock in ("mine", object()), ("another's", None):
            scheduler = UsherScheduler.__new__(UsherScheduler)
            scheduler._turned_s, scheduler.lock = turned_s, lock
            shown[when, whose] = scheduler.turns
    assert [turn for turn, turns in shown.items() if not turns] == [("long ago", "mine")]
