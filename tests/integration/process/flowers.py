"""A Flower behind a reverse proxy, asked over its API."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.processes import running_celery, wait_until
from tests.ushers import Usher

LOGIN = "usher:let-me-in"
PREFIX = "ops/usher"


@contextlib.contextmanager
def run_proxy(port: int) -> Iterator[str]:
    """A reverse proxy: what is under the prefix goes to Flower as it is, anything else is somebody
    else's page.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"/{PREFIX}/"):
                self.send_error(418)
                return
            passed = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{self.path}", sent or None, passed, method=self.command
            )
            try:
                answer = urllib.request.urlopen(request, timeout=20)  # noqa: S310
            except urllib.error.HTTPError as refused:
                answer = refused
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - named by the standard library

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}/{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Seen:
    """A running Flower behind its proxy."""

    usher: Usher
    place: str
    """Host, port and prefix of the proxy."""
    port: int
    """Flower's own."""

    def ask(self, path: str, *, login: str = LOGIN, method: str = "GET", direct: bool = False) -> tuple[int, bytes]:
        """Ask for a page, through the proxy unless told otherwise."""
        place = f"127.0.0.1:{self.port}/{PREFIX}" if direct else self.place
        request = urllib.request.Request(f"http://{place}/{path}", method=method)
        if login:
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def await_events(self) -> None:
        """Wait until Flower hears of tasks: it asks the workers for these events five seconds after
        its start, and has their heartbeats before.
        """

        def heard() -> bool:
            self.usher.ask("usher.job", "none")
            return bool(json.loads(self.ask("api/tasks", direct=True)[1]))

        wait_until(heard, 30, "a task in Flower")

    def tasks(self, job: str) -> list[dict[str, Any]]:
        """Return what Flower's API knows of a job's chunks."""
        status, body = self.ask("api/tasks?limit=10000&taskname=usher.run_chunk")
        assert status == 200, body
        return [task for task in json.loads(body).values() if f"(job {job}, " in task["args"]]


@contextlib.contextmanager
def run_flower(usher: Usher, port: int, state: str = "state") -> Iterator[subprocess.Popen[bytes]]:
    """Run Flower on that port, with a log and a state of its own, until the block ends."""
    options = ("flower", f"--port={port}", f"--url_prefix={PREFIX}")
    env = usher.env | {"FLOWER_BASIC_AUTH": LOGIN, "USHER_STATE_DIR": str(usher.folder / state)}
    log = usher.folder / f"flower-{state}.log"
    with running_celery(options, log, env, usher.folder) as process:

        def answers() -> bool:
            url = f"http://127.0.0.1:{port}/{PREFIX}/healthcheck"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
            return process.poll() is not None

        wait_until(answers, 30, "Flower")
        assert process.poll() is None, log.read_text()
        yield process
