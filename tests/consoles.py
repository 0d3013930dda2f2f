"""A server of a test: `usher serve` on a site's configuration, and somebody who asks it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.processes import USHER, quick_usher, running, wait_until
from tests.sites import Site

_READY = re.compile(r"usher is at (http://\S+) ")


@dataclass
class Console:
    """A running server. Paths are those of its addresses: `console.get("/v1/jobs")`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    browser: requests.Session = field(default_factory=requests.Session)

    def ask(self, method: str, path: str, **given: Any) -> requests.Response:
        """Ask it, without following where it sends us. A fault of the server fails the test."""
        answer = self.browser.request(method, self.url + path, allow_redirects=False, timeout=30, **given)
        assert answer.status_code != 500, f"{answer.text}\n{self.log.read_text()}"
        return answer

    def get(self, path: str, **given: Any) -> requests.Response:
        """GET."""
        return self.ask("GET", path, **given)

    def post(self, path: str, **given: Any) -> requests.Response:
        """POST."""
        return self.ask("POST", path, **given)

    def submit(self, addresses: Sequence[str], connection: str = "contoso", **more: Any) -> str:
        """Have addresses invited; return the job."""
        body = {"connection": connection, "rows": [{"email": address} for address in addresses], **more}
        answer = self.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    def events(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield what a stream of events tells, until it ends."""
        with requests.get(self.url + path, stream=True, timeout=30) as answer:
            assert answer.status_code == 200, answer.text
            for line in answer.iter_lines():
                if line.startswith(b"data:"):
                    yield json.loads(line.removeprefix(b"data:"))


@contextmanager
def run_console(site: Site, *options: str, real: bool = False) -> Iterator[Console]:
    """Run `usher serve` on a free port. `real`: started as people start it, so that signals reach
    it; else quickly, and it is killed in the end.
    """
    log = site.folder / "serve.log"
    before = log.stat().st_size if log.exists() else 0  # of another server on this site
    argv = (*(USHER if real else quick_usher()), "serve", "--port", "0", *options)
    with running(argv, log, site.env, site.folder) as process:

        def told() -> re.Match[str] | None:
            return _READY.search(log.read_bytes()[before:].decode())

        wait_until(lambda: told() or process.poll() is not None, 30, "a server that is ready")
        found = told()
        assert found, log.read_text()
        yield Console(found[1], process, log)
