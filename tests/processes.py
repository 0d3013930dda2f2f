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

ROOT = Path(__file__).resolve().parents[1]
CELERY = (sys.executable, "-P", "-m", "celery", "-A", "worker")
USHER = (sys.executable, "-P", "-m", "cli")


class Ended(NamedTuple):
    """How a command ended: its exit status, and what it wrote to stdout and stderr."""

    status: int
    out: str
    err: str


def wait_until(look: Callable[[], Any], within_s: float, what: str) -> Any:
    """Return the first true answer of `look`; fail after `within_s`."""
    deadline_s = time.monotonic() + within_s
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
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


@functools.cache
def quick_usher() -> tuple[str, ...]:
    """Return what starts `usher` quickly, for commands that are only run to their end
    (`tests.forks`).
    """
    folder = tempfile.mkdtemp(prefix="uq-", dir="/tmp")
    program, path = str(ROOT / "tests" / "forks.py"), f"{folder}/s"
    server = subprocess.Popen(
        (sys.executable, "-P", program, "serve", path),
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
    return sys.executable, "-S", "-E", program, "run", path


def run_command(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, text: str = "") -> Ended:
    """Run `usher` to its end, without a terminal, with `text` on its standard input."""
    done = subprocess.run(
        (*quick_usher(), *arguments),
        env=env,
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)
