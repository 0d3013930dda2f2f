"""A whole usher for tests of its wire: Valkey, the sandbox, a worker that tells all it knows; each ended by the test that began it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeout

from tests.servers import start_valkey, stop_valkey

ROOT = Path(__file__).resolve().parents[2]
CELERY = (sys.executable, "-P", "-m", "celery", "-A", "worker")


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


@dataclass
class Sandbox:
    """A running sandbox."""

    ready: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.ready["url"].rpartition(":")[2])

    @property
    def secret(self) -> str:
        """The client secret of its seed application."""
        return Path(self.ready["client_secret_file"]).read_text(encoding="utf-8").strip()

    def ask(self, name: str, body: dict[str, Any] | None = None) -> Any:
        """Ask its control API: GET, or POST when there is a body."""
        request = urllib.request.Request(  # noqa: S310 - https by construction
            f"{self.ready['control_url']}/{name}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=self.ready["ca_file"])
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:  # noqa: S310
            return json.loads(answer.read())


@contextlib.contextmanager
def run_sandbox(folder: Path, *options: str) -> Iterator[Sandbox]:
    """Run a sandbox with its files in `folder`."""
    ready = folder / "sandbox.json"
    argv = (sys.executable, "-P", "-m", "sandbox", "--ready-file", str(ready), "--state-dir", str(folder / "sandbox"))
    own = ("--parent-pid", str(os.getpid()), *options)
    with running((*argv, *own), folder / "sandbox.log", plain_environment(), folder) as process:
        wait_until(lambda: ready.exists() or process.poll() is not None, 20, "the sandbox's ready file")
        assert process.poll() is None, (folder / "sandbox.log").read_text()
        yield Sandbox(json.loads(ready.read_text(encoding="utf-8")), process)


def connection_table(name: str, ready: dict[str, Any], **changes: str) -> str:
    """A `[connections.NAME]` table for the sandbox; `changes` are lines of TOML by key."""
    told = {
        "tenant_id": json.dumps(ready["tenant_id"]),
        "client_id": json.dumps(ready["client_id"]),
        "client_secret": json.dumps(f"file:{ready['client_secret_file']}"),
        "authority": json.dumps(ready["authority"]),
        "graph_url": json.dumps(ready["graph_url"]),
        "ca_file": json.dumps(ready["ca_file"]),
        **changes,
    }
    return "\n".join([f"[connections.{name}]", *(f"{key} = {value}" for key, value in told.items() if value), ""])


@dataclass
class Usher:
    """A running usher, and the ways a producer reaches it."""

    folder: Path
    env: dict[str, str] = field(repr=False)
    redis_url: str
    sandbox: Sandbox
    worker_log: Path
    worker: subprocess.Popen[bytes] | None = None
    stopped: bool = False
    answers: list[Any] = field(default_factory=list, repr=False)
    producer_url: str = ""  # where it is not the worker's
    _client: Celery | None = None

    @property
    def broker_url(self) -> str:
        """As a producer spells it."""
        if self.producer_url:
            return self.producer_url
        return f"redis+socket://{self.redis_url.removeprefix('unix://')}?virtual_host=0"

    @property
    def client(self) -> Celery:
        """A client as any other code base would make it: nothing of usher's is imported."""
        if self._client is None:
            self._client = Celery("elsewhere", broker=self.broker_url, backend=self.broker_url, set_as_current=False)
            self._client.conf.update(
                broker_transport_options={"global_keyprefix": "usher:mq:"},
                result_backend_transport_options={"global_keyprefix": "usher:res:"},
            )
        return self._client

    def ask(self, task: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Send a task by name and return its result, which is kept to be searched for what must not be there."""
        return self.ask_with(task, args, kwargs)

    def ask_with(self, task: str, args: Any, kwargs: Any, **options: Any) -> dict[str, Any]:
        """The same with Celery's own options."""
        result = self.client.send_task(task, args, kwargs, **options)
        try:
            answer = result.get(timeout=40)
        except CeleryTimeout:
            raise AssertionError(f"no result for {task}; the worker's log ends:\n{self.log()[-6000:]}") from None
        self.answers.append(answer)
        assert isinstance(answer, dict), answer
        return answer

    def finished(self, job: str, within_s: float = 30) -> dict[str, Any]:
        """Return a job once it is done."""

        def look() -> dict[str, Any] | None:
            view = self.ask("usher.job", job)
            return view if view.get("state") in ("done", "cancelled") else None

        found: dict[str, Any] = wait_until(look, within_s, f"job {job} done")
        return found

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        """Run a command to its end, without a terminal; returns status, stdout, stderr."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tasks.cli", *arguments],
            env=self.env | env,
            cwd=self.folder,
            input="",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def stop_worker(self, within_s: float = 40) -> None:
        """End the worker warmly, as a service manager does."""
        assert self.worker
        self.stopped = True
        self.worker.send_signal(signal.SIGTERM)
        assert self.worker.wait(within_s) == 0, self.log()[-4000:]

    def log(self) -> str:
        """All that the worker wrote."""
        return self.worker_log.read_text(encoding="utf-8", errors="replace")


def start_plain(folder: Path, stack: contextlib.ExitStack) -> tuple[str, str]:
    """Start Valkey on a socket. Returns the URL for usher's own processes and the one for producers ('': the same)."""
    server, redis_url = start_valkey(folder)
    stack.callback(stop_valkey, server)
    return redis_url, ""


@contextlib.contextmanager
def run_usher(
    folder: Path,
    *worker_options: str,
    sandbox_options: Sequence[str] = (),
    tables: Callable[[dict[str, Any]], str] = lambda ready: connection_table("contoso", ready),
    start: Callable[[Path, contextlib.ExitStack], tuple[str, str]] = start_plain,
    more_env: Mapping[str, str] | None = None,
) -> Iterator[Usher]:
    """Run Valkey, the sandbox and a worker in `folder`; `tables` writes the connections for a sandbox's ready file."""
    with contextlib.ExitStack() as stack:
        redis_url, producer_url = start(folder, stack)
        sandbox = stack.enter_context(run_sandbox(folder, *sandbox_options))
        key = folder / "ledger.key"
        key.write_text("3q2+7w" * 8, encoding="utf-8")
        key.chmod(0o600)
        config = folder / "usher.toml"
        config.write_text(
            f'[redis]\nurl = "{redis_url}"\n[ledger]\nkey = "file:{key}"\n{tables(sandbox.ready)}', encoding="utf-8"
        )
        env = plain_environment(USHER_CONFIG=str(config), HOME=str(folder), **(more_env or {}))
        usher = Usher(folder, env, redis_url, sandbox, folder / "worker.log", producer_url=producer_url)
        options = ("--without-mingle", "--without-gossip", *(worker_options or ("-l", "INFO")))
        usher.worker = stack.enter_context(running((*CELERY, "worker", *options), usher.worker_log, env, folder))
        started = usher.worker
        wait_until(lambda: " ready." in usher.log() or started.poll() is not None, 30, "a worker that is ready")
        assert started.poll() is None, usher.log()
        yield usher
        assert usher.stopped or started.poll() is None, f"the worker ended:\n{usher.log()[-4000:]}"
