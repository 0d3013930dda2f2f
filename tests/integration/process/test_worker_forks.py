"""The workers of the tests are forks of a process that has loaded their modules."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import processes
from tests.sites import Site
from tests.worker_forks import Fork, can_fork

pytestmark = pytest.mark.skipif(not can_fork(os.environ), reason="forks are handed on by Linux")


async def test_a_fork_is_the_worker_that_people_start(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the same place, is the test's own child, sends, and ends with the same status,
    warmly or killed.
    """
    told = []
    for may_fork in (True, False):
        if not may_fork:
            monkeypatch.setattr(processes, "can_fork", lambda env: False)
        worker = site.start_worker()
        assert isinstance(worker, Fork) is may_fork
        place = Path(f"/proc/{worker.pid}")
        told.append(
            (
                (place / "cwd").readlink(),
                [(place / f"fd/{number}").readlink().stem.strip("12") for number in range(3)],
                os.getsid(worker.pid) == worker.pid,
                (place / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid()),
            )
        )
        job = await site.load([f"{may_fork}{n}@fabrikam.example" for n in range(3)])
        assert (await site.ended(job)).counts.done == 3
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    assert told[0] == told[1]
    monkeypatch.undo()
    worker = site.start_worker()
    worker.kill()
    assert worker.wait(60) == -signal.SIGKILL
