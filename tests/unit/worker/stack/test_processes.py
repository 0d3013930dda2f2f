from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from worker.stack.folders import StackError
from worker.stack.keeper import Keeper, compute_backoff_s
from worker.stack.last_words import open_log, read_last_line
from worker.stack.lockfile import FileLock, find_pid_space, is_locked, read_note, try_lock
from worker.stack.processes import ChildSpec, Nursery

READY = "print('ready', flush=True); "
SLEEP = READY + "import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    """The loop's nursery."""
    made = Nursery()
    yield made
    made.close()


def _spec(folder: Path, code: str, patience_s: float = 10.0) -> ChildSpec:
    return ChildSpec(
        name="child",
        argv=(sys.executable, "-c", code),
        env=dict(os.environ),
        cwd=folder,
        lock=folder / "child.lock",
        log=folder / "child.log",
        patience_s=patience_s,
    )


async def _until_logged(spec: ChildSpec, text: str = "ready", times: int = 1) -> None:
    assert spec.log is not None
    async with asyncio.timeout(20):
        while not spec.log.exists() or spec.log.read_text().count(text) < times:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)


def _start_orphan(spec: ChildSpec, lock: FileLock) -> subprocess.Popen[bytes]:
    return subprocess.Popen(spec.argv, start_new_session=True, pass_fds=(lock.fd,), stdout=subprocess.DEVNULL)


def test_backoff_grows_and_ends() -> None:
    """A child that keeps ending is started ever more slowly, but within seconds."""
    waits = [compute_backoff_s(n) for n in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[0] <= 0.2
    assert compute_backoff_s(10_000) == waits[-1] <= 10


async def test_a_child_has_a_session_and_a_signed_lock_of_its_own(tmp_path: Path, nursery: Nursery) -> None:
    """Ctrl-C does not reach it, and its lock says who it is while it lives."""
    spec = _spec(tmp_path, SLEEP)
    child = await nursery.start(spec)
    assert os.getsid(child.pid) == child.pid
    assert is_locked(spec.lock)
    assert read_note(spec.lock) == {"pid": child.pid, "place": find_pid_space()}
    assert await child.stop() == -signal.SIGTERM
    assert not is_locked(spec.lock)


async def test_a_child_that_ignores_sigterm_is_killed_after_its_patience(tmp_path: Path, nursery: Nursery) -> None:
    """Nothing outlives its stack."""
    spec = _spec(tmp_path, DEAF, patience_s=0.1)
    child = await nursery.start(spec)
    await _until_logged(spec)
    assert await child.stop() == -signal.SIGKILL


async def test_a_second_request_to_end_does_not_wait(tmp_path: Path, nursery: Nursery) -> None:
    """Ctrl-C twice is meant."""
    spec = _spec(tmp_path, DEAF, patience_s=60)
    child = await nursery.start(spec)
    await _until_logged(spec)
    hurry = asyncio.Event()
    hurry.set()
    async with asyncio.timeout(10):
        assert await child.stop(hurry) == -signal.SIGKILL


async def test_an_orphan_is_ended_before_its_successor_starts(tmp_path: Path, nursery: Nursery) -> None:
    """A child of a supervisor that was killed, alive where the kernel does not end it, never meets
    its successor.
    """
    spec = _spec(tmp_path, SLEEP)
    lock = try_lock(spec.lock)
    assert lock is not None
    orphan = _start_orphan(spec, lock)
    lock.write_note({"pid": orphan.pid, "place": find_pid_space()})
    lock.close()
    child = await nursery.start(spec)
    assert orphan.wait(5) == -signal.SIGTERM
    await child.stop()


async def test_a_holder_elsewhere_is_not_signalled(
    tmp_path: Path, nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process id of another machine or container means nothing here: one sentence, and no signal
    to a stranger.
    """
    monkeypatch.setattr("worker.stack.processes._ORPHAN_TERM_S", 0.1)
    spec = _spec(tmp_path, SLEEP)
    lock = try_lock(spec.lock)
    assert lock is not None
    lock.write_note({"pid": os.getpid(), "place": "elsewhere"})
    with pytest.raises(StackError, match="on elsewhere"):
        await nursery.start(spec)
    lock.close()


async def _until(changed: asyncio.Event, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            changed.clear()
            await changed.wait()


async def test_a_child_that_ends_is_started_again(tmp_path: Path, nursery: Nursery) -> None:
    """The keeper's one promise."""
    spec, changed = _spec(tmp_path, SLEEP), asyncio.Event()
    keeper = Keeper(nursery, spec, changed.set)
    await _until(changed, lambda: keeper.up)
    await _until_logged(spec)
    first = keeper.describe()["pid"]
    os.kill(first, signal.SIGKILL)
    await _until(changed, lambda: keeper.up and keeper.describe()["pid"] != first)
    told = keeper.describe()
    assert (told["ends"], told["failing"]) == (1, False)
    assert "SIGKILL" in told["trouble"]
    await keeper.stop()
    assert not is_locked(spec.lock)


async def test_a_child_that_never_becomes_ready_is_a_sentence(tmp_path: Path, nursery: Nursery) -> None:
    """The last thing it said is what the person reads."""
    spec = _spec(tmp_path, "import sys; sys.exit('no such thing')")
    spec, changed = dataclasses.replace(spec, ready=lambda child: asyncio.sleep(60)), asyncio.Event()
    keeper = Keeper(nursery, spec, changed.set)
    await _until(changed, lambda: keeper.failing)
    assert not keeper.was_up
    assert "ended with status 1: no such thing" in keeper.trouble
    await keeper.stop()


async def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path, nursery: Nursery) -> None:
    """No traceback for a missing program."""
    spec = ChildSpec("x", ("/nowhere/x",), {}, tmp_path, tmp_path / "x.lock", tmp_path / "x.log")
    with pytest.raises(StackError, match="/nowhere/x cannot be started"):
        await nursery.start(spec)
    assert not is_locked(spec.lock)


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs do not grow for ever, and are for their owner alone."""
    monkeypatch.setattr("worker.stack.last_words.LOG_BYTES_MAX", 10)
    log = tmp_path / "a.log"
    for text in (b"more than ten bytes\n", b"new\n\n"):
        fd = open_log(log)
        os.write(fd, text)
        os.close(fd)
    assert log.read_bytes() == b"new\n\n"
    assert (tmp_path / "a.log.1").exists()
    assert log.stat().st_mode & 0o777 == 0o600
    assert read_last_line(log) == "new"
    log.write_text("7:M 01 Jan 2026 10:00:00.000 # Bad file format\n")
    assert read_last_line(log) == "Bad file format", "without what a server puts before a line"


def test_an_environment_is_not_shown(tmp_path: Path) -> None:
    """`repr` of a child's description holds no secret."""
    assert "s3cret" not in repr(ChildSpec("x", ("x",), {"A": "s3cret"}, tmp_path, tmp_path, tmp_path))
