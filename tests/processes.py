"""Processes that a test starts: in an environment of their own, ended by the test that began
them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.worker_forks import can_fork, start_fork

ROOT = Path(__file__).resolve().parents[1]
CELERY = (sys.executable, "-P", "-m", "celery", "-A", "worker")
USHER = (sys.executable, "-P", "-m", "cli")


BUSY = 3
"""How many times as long anything may take as it would alone: others use the processors too. What
has come is waited for no longer; only what hangs is found later.
"""


def deadline_of(within_s: float) -> float:
    """Return when something has to be there that takes `within_s` on a machine of its own, on the
    monotonic clock.
    """
    return time.monotonic() + BUSY * within_s


class Ended(NamedTuple):
    """How a command ended: its exit status, and what it wrote to stdout and stderr."""

    status: int
    out: str
    err: str


def wait_until(look: Callable[[], Any], within_s: float, what: str) -> Any:
    """Return the first true answer of `look`; fail after `within_s`."""
    deadline_s = deadline_of(within_s)
    while time.monotonic() < deadline_s:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def plain_environment(**more: str) -> dict[str, str]:
    """The environment without anything that steers usher, trust or proxies."""
    ours = ("USHER_", "SSL_CERT", "REQUESTS_CA", "CURL_CA", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    env = {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}
    return env | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


@contextlib.contextmanager
def running(argv: Sequence[str], log: Path, env: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a session of its own, its output in `log`, until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd, start_new_session=True
        )
    with _ended(process):
        yield process


@contextlib.contextmanager
def running_celery(
    arguments: Sequence[str], log: Path, env: dict[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker or a beat likewise, quickly where that can be (`tests.worker_forks`)."""
    if not can_fork(env):
        with running((*CELERY, *arguments), log, env, cwd) as process:
            yield process
        return
    server = forking(str(ROOT / "tests" / "worker_forks.py"))
    with log.open("ab") as output:
        fork = start_fork(server, ("-A", "worker", *arguments), output, env, cwd)
    with _ended(fork):
        yield fork


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(BUSY * 15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(BUSY * 15)


def quick_usher() -> tuple[str, ...]:
    """Return what starts `usher` quickly, for commands that are only run to their end
    (`tests.forks`).
    """
    program = str(ROOT / "tests" / "forks.py")
    return sys.executable, "-S", "-E", program, "run", forking(program, "serve")


@functools.cache
def forking(program: str, *arguments: str) -> str:
    """Start a program that forks for its callers, for as long as this process runs; return its
    socket.
    """
    folder = tempfile.mkdtemp(prefix="uq-", dir="/tmp")
    path = f"{folder}/s"
    server = subprocess.Popen(
        (sys.executable, "-P", program, *arguments, path),
        env=plain_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.communicate()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return path


def run_command(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, text: str = "", within_s: float = 60
) -> Ended:
    """Run `usher` to its end, without a terminal, with `text` on its standard input."""
    done = subprocess.run(
        (*quick_usher(), *arguments),
        env=env,
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        timeout=BUSY * within_s,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)
