"""The sandbox as a process of the private stack: how it is started, and how its connection is
found.

The sandbox is never imported. `python -m sandbox` writes a ready file that names its URLs and the
client that may sign in; that file has a fixed place in the state folder, so that a worker finds the
connection `sandbox` whenever it looks, be the sandbox younger than the worker or restarted on
another port. Its guests live in its memory and go with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.stack.folders import Folders, StackError
from worker.stack.processes import Child, ChildSpec

_POLL_S = 0.02
_MAILS = "6000/min"
"""Mails by the sandbox's mailbox: it has no limit but four at once."""
_NEEDED = ("authority", "graph_url", "ca_file", "tenant_id", "client_id", "client_secret_file", "mailbox")


def find_sandbox(ready_file: Path) -> dict[str, Any] | None:
    """What the ready file of the running sandbox tells; None where no ready file is there, it is
    not ours or not whole, or its process has gone.
    """
    try:
        if ready_file.stat().st_uid != os.geteuid():
            return None
        told: dict[str, Any] = json.loads(ready_file.read_bytes())
        os.kill(int(told["pid"]), 0)
        return told if all(told[name] for name in _NEEDED) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_sandbox_connection(ready_file: Path) -> dict[str, Any] | None:
    """The settings of the connection `sandbox` in the words of `[connections.*]`; None while no
    sandbox runs. Its guests get mail of usher's own, so that a trial shows the whole way.
    """
    told = find_sandbox(ready_file)
    if told is None:
        return None
    table = {name: str(told[name]) for name in _NEEDED}
    secret = table.pop("client_secret_file")
    return table | {"client_secret": f"file:{secret}", "deliver": "mailbox", "mailbox_rate": _MAILS}


def refuse_sandbox_behind(redis_url: str | None, env: Mapping[str, str]) -> None:
    """Raise `StackError` when jobs live on a Redis of the operator's: its other workers could never
    reach this machine's sandbox.
    """
    if redis_url and env.get("USHER_PRIVATE") != "1":
        raise StackError(
            "The built-in connection `sandbox` needs the private stack, and a Redis URL is set: unset it, "
            "or start `usher sandbox` and configure a connection to it under another name."
        )


def build_sandbox_spec(folders: Folders, argv: tuple[str, ...], env: Mapping[str, str]) -> ChildSpec:
    """How the supervisor starts the sandbox."""
    place = ("--ready-file", str(folders.sandbox_ready), "--state-dir", str(folders.sandbox_state))
    return ChildSpec(
        name="sandbox",
        argv=(*argv, "--port", "0", *place, "--parent-pid", str(os.getpid())),
        env=env,
        cwd=folders.state,
        lock=folders.lock("sandbox"),
        log=folders.log("sandbox"),
        death_signal=signal.SIGTERM,
        patience_s=5.0,
        ready=lambda child: wait_for_sandbox(folders, child),
    )


async def wait_for_sandbox(folders: Folders, child: Child) -> None:
    """Return when this very child has written its ready file. The caller bounds it."""
    while not child.ended.done():
        told = find_sandbox(folders.sandbox_ready)
        if told is not None and told["pid"] == child.pid:
            return
        await asyncio.sleep(_POLL_S)
