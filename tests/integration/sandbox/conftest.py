"""Fixtures of the sandbox's own tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.sandbox.callers import Running, start_sandbox


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sandbox")
    running = start_sandbox(folder, "--replication", "0", "--log", str(folder / "log.jsonl"))
    yield running
    status = running.stop()
    assert running.process.stderr is not None
    noise = running.process.stderr.read().decode()
    running.process.stderr.close()
    assert status == 0
    assert noise.count("\n") == 1, noise  # the sentence that it listens; no traceback of any fault played here


@pytest.fixture
async def sandbox(_shared: Running) -> AsyncIterator[Running]:
    """A sandbox as new, with a signed-in caller."""
    await _shared.sign_in()
    await _shared.control("reset", {})
    yield _shared
    assert _shared.session
    await _shared.session.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start sandboxes with options of their own."""
    started: list[Running] = []

    def begin(*arguments: str) -> Running:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(start_sandbox(folder, *arguments))
        return started[-1]

    yield begin
    for running in started:
        running.stop()
        assert running.process.stderr is not None
        running.process.stderr.close()
