"""The sign of life of real workers and beats: there before Redis is, gone when they stop."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

from tests.brokers import free_port
from tests.processes import CELERY, plain_environment, running, wait_until


def test_a_worker_shows_its_life_though_redis_is_away(tmp_path: Path) -> None:
    """A probe must not kill workers because Redis is down; a stopped one leaves no sign behind."""
    alive, log = tmp_path / "alive", tmp_path / "worker.log"
    env = plain_environment(
        HOME=str(tmp_path), USHER_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", USHER_ALIVE_FILE=str(alive)
    )
    with running((*CELERY, "worker", "-c", "2", "--without-mingle"), log, env, tmp_path) as process:
        wait_until(lambda: alive.exists() or process.poll() is not None, 30, "a sign of life")
        assert process.poll() is None, log.read_text()
        wait_until(lambda: "annot connect" in log.read_text(), 30, "a worker that tries to connect")
        assert alive.exists()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert not alive.exists()


def test_a_beat_shows_its_life_and_so_does_its_spare(valkey_url: str, tmp_path: Path) -> None:
    """A probe must not kill the beat that waits for its turn; whoever stops leaves no sign
    behind.
    """
    env = plain_environment(HOME=str(tmp_path), USHER_REDIS_URL=valkey_url, USHER_LEDGER__PREFIX="alive")
    signs = [tmp_path / "first", tmp_path / "second"]
    with contextlib.ExitStack() as stack:
        beats = [
            stack.enter_context(
                running((*CELERY, "beat"), tmp_path / "beat.log", env | {"USHER_ALIVE_FILE": str(sign)}, tmp_path)
            )
            for sign in signs
        ]
        wait_until(lambda: all(sign.exists() for sign in signs), 30, "two signs of life")
        assert [process.poll() for process in beats] == [None, None], (tmp_path / "beat.log").read_text()
        for process in beats:
            process.send_signal(signal.SIGTERM)
        for process in beats:
            process.wait(30)
    assert [sign.exists() for sign in signs] == [False, False]
