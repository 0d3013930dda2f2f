"""A whole usher for tests of its wire: Valkey, the sandbox, a worker that tells all it knows; each
ended by the test that began it.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeout

from tests.processes import Ended, plain_environment, run_command, running_celery, wait_until
from tests.sandboxes import Sandbox, connection_table, run_sandbox
from tests.servers import start_valkey, stop_valkey


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
        """Send a task by name and return its result, which is kept to be searched for what must not
        be there.
        """
        return self.ask_with(task, args, kwargs)

    def ask_with(self, task: str, args: Any, kwargs: Any, **options: Any) -> dict[str, Any]:
        """The same with Celery's own options."""
        options.setdefault("task_id", f"producer-{uuid.uuid4()}")  # as the user for producers may ask for it
        result = self.client.send_task(task, args, kwargs, **options)
        try:
            answer = result.get(timeout=90)
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

    def run(self, *arguments: str, text: str = "", **env: str) -> Ended:
        """Run a command to its end, as on this usher's machine, without a terminal."""
        return run_command(arguments, self.env | env, self.folder, text)

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
    """Start Valkey on a socket. Returns the URL for usher's own processes and the one for producers
    ('': the same).
    """
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
    """Run Valkey, the sandbox and a worker in `folder`; `tables` writes the connections for a
    sandbox's ready file.
    """
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
        usher.worker = stack.enter_context(running_celery(("worker", *options), usher.worker_log, env, folder))
        started = usher.worker
        wait_until(lambda: " ready." in usher.log() or started.poll() is not None, 30, "a worker that is ready")
        assert started.poll() is None, usher.log()
        yield usher
        assert usher.stopped or started.poll() is None, f"the worker ended:\n{usher.log()[-4000:]}"
