"""The sandbox as a process of a test, and a connection to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.processes import plain_environment, running, wait_until


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


@dataclass
class Sandboxes:
    """The sandboxes that a run shares: one for each set of options, started when a test first asks
    for it.
    """

    stack: contextlib.ExitStack
    running: dict[tuple[str, ...], Sandbox] = field(default_factory=dict)

    def get(self, options: Sequence[str] = ("--quota", "off")) -> Sandbox:
        """Return the sandbox with these options; whoever uses it resets it first (`open_site`
        does).
        """
        wanted = tuple(options)
        if wanted not in self.running:
            folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
            self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.running[wanted] = self.stack.enter_context(run_sandbox(folder, *wanted))
        return self.running[wanted]


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
