"""A real worker's sign of life: there before Redis is, gone when it stops."""

from __future__ import annotations

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
