"""The private Valkey server: how it is configured, when it answers, and the URL that reaches it.

It listens on a unix socket alone, in a folder that only its owner enters, and keeps every write in
an append-only file. That two servers never share a data folder rests on the server's own lock
(`processes`): two of them would start happily, the second taking the first one's socket, both
writing one file.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from worker.ledger_key import SHORTEST_FILE, write_key
from worker.stack.folders import Folders, StackError
from worker.stack.processes import Child, ChildSpec
from worker.stack.server_program import ServerProgram

PING_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Urls:
    """How the private server is reached, as redis-py spells it (Celery and kombu spell it another
    way: `worker.process.process_settings.celery_url`).
    """

    redis_url: str
    key_path: Path | None = None
    """The ledger's key, where embedded mode made one."""


def private_urls(socket: Path, key_path: Path | None = None) -> Urls:
    """The URL of a server on this socket, and its ledger's key."""
    return Urls(f"unix://{quote(str(socket))}?db=0", key_path)


def build_server_config(folders: Folders) -> str:
    """The server's configuration file: a socket and no port, every write kept, nothing evicted, no
    dangerous commands.
    """
    settings = {
        "port": "0",
        "unixsocket": _quote(folders.server_socket),
        "unixsocketperm": "700",
        "dir": _quote(folders.data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "enable-debug-command": "no",
        "enable-module-command": "no",
        "daemonize": "no",
        "logfile": _quote(folders.log("server")),
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _quote(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{text}"'


def build_server_spec(folders: Folders, program: ServerProgram, env: Mapping[str, str]) -> ChildSpec:
    """Write the configuration file and say how the server is started."""
    config = folders.state / "server.conf"
    config.write_text(build_server_config(folders))
    config.chmod(0o600)
    return ChildSpec(
        name="private server",
        argv=(str(program.path), str(config)),
        env=env,
        cwd=folders.state,
        lock=folders.lock("server"),
        # What it says before it opens its own log, and nothing else.
        log=folders.log("server"),
        # SIGTERM, not SIGKILL: it writes its last second of changes before it goes.
        death_signal=signal.SIGTERM,
        patience_s=15.0,
        ready=lambda child: wait_for_ping(folders.server_socket, child),
    )


async def wait_for_ping(socket: Path, child: Child | None = None) -> None:
    """Return when the server on this socket answers PING. A server that is still reading its data
    says so and is waited for.

    Has no end of its own: the caller bounds it.
    """
    while child is None or not child.ended.done():
        if await _ping(socket):
            return
        await asyncio.sleep(PING_EVERY_S)


async def _ping(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()


def ensure_ledger_key(folders: Folders) -> Path:
    """Make embedded mode's ledger key once, however many processes ask at the same time: whose
    comes first is the key.

    Raises `StackError` for a key that is there and cannot be one: a new one would make everything
    sealed with it unreadable.
    """
    path = folders.ledger_key
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            write_key(path)
    if path.stat().st_size < SHORTEST_FILE:
        raise StackError(
            f"{path} is not a ledger key (too short): restore it, or move the whole folder {folders.state} away and"
            " begin with an empty ledger; with another key nothing is sent."
        )
    return path
