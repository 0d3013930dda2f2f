"""A command's hold on the private stack: attach, and it runs; leave, and it ends by itself soon
after.

However many commands come at once, one starts each role: the one that gets its lock (`launch`).
Where a role's supervisor was killed, the next look of any command that needs it starts another on
the same data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from worker.stack.environment import Commands, Order, build_order, build_stack_variables
from worker.stack.folders import Folders, StackError, find_folders
from worker.stack.launch import Launcher
from worker.stack.presence import ROLES, Mode, Presence, Role, Supervision, find_users, read_supervision
from worker.stack.private import Urls, ensure_ledger_key, private_urls

Need = Literal["server", "worker"]


@dataclass(frozen=True, slots=True)
class Status:
    """What runs of a private stack. `pid` is the server's supervisor's; `mode` is "foreground"
    while `usher up` runs."""

    pid: int
    mode: Mode
    children: Mapping[str, Mapping[str, Any]]
    commands: tuple[int, ...]
    redis_url: str


class Attachment:
    """An open hold on roles, the server first. A context manager; `close` leaves. Not for use from
    two threads at once.

    `needs`: what is to stay up while it runs, started or not.
    """

    def __init__(
        self, folders: Folders, order: Order, env: Mapping[str, str], roles: Sequence[Role], needs: Sequence[Role] = ()
    ) -> None:
        self._folders = folders
        self._roles = roles
        self._seen: dict[Role, Supervision] = {}
        self._key_path = ensure_ledger_key(folders) if order.makes_key else None
        self.urls = private_urls(folders.server_socket, self._key_path)
        self._presence = Presence(folders, needs or roles)
        self._launcher = Launcher(folders, order, env, self._presence)
        try:
            self._bring_up()
        except BaseException:
            self.close()
            raise

    def _bring_up(self) -> None:
        for role in self._roles:
            self._seen[role] = found = self._launcher.bring_up(role, self.urls)
            if role == "server":
                self.urls = private_urls(Path(found.socket), self._key_path)

    @property
    def supervisor_pid(self) -> int:
        """The process id of the server's supervisor."""
        return self._seen["server"].pid

    @property
    def log_path(self) -> Path:
        """The worker's log."""
        return self._folders.log("worker")

    @property
    def redis_url(self) -> str:
        """For redis-py."""
        return self.urls.redis_url

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables by which `load_settings` sees this stack."""
        return build_stack_variables(self.urls)

    def keep(self) -> list[str]:
        """Call now and then: sentences about children that ended unasked, since the last call.

        Starts what is gone when a supervisor was killed (blocks until it is of use, or raises
        `StackError`). Otherwise returns at once.
        """
        notices: list[str] = []
        for role, seen in list(self._seen.items()):
            found = read_supervision(self._folders, role)
            if found is None or found.pid != seen.pid:
                self._bring_up()
                if self._seen[role].pid != seen.pid:
                    return [*notices, "The private stack had ended and was started again."]
                found = self._seen[role]
            for name, child in found.children.items():
                if child["ends"] > seen.children.get(name, {}).get("ends", 0):
                    notices.append(child["trouble"])
            self._seen[role] = found
        return notices

    def close(self) -> None:
        """Leave. The stack ends by itself a grace after the last command has left."""
        self._presence.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def attach(
    need: Need, env: Mapping[str, str] = os.environ, *, sandbox: bool = False, commands: Commands | None = None
) -> Attachment:
    """Hold the private stack up: the server for a command that reads, the worker too for one that
    runs a job.

    `sandbox` (with need "worker") has the sandbox running as well. Blocks until what is needed is
    up. Raises `StackError`, a sentence, when that fails or takes longer than 20 s where nothing
    says why.
    """
    if sandbox and need != "worker":
        raise ValueError("the sandbox runs beside a worker")
    folders = find_folders(env)
    folders.prepare()
    roles = [role for role in ROLES if role in ("server", need) or (role == "sandbox" and sandbox)]
    try:
        return Attachment(folders, build_order(env, folders, commands or Commands()), env, roles)
    except OSError as error:
        why = error.strerror or error
        raise StackError(f"The private stack in {folders.state} cannot be reached: {why}.") from error


def read_status(env: Mapping[str, str] = os.environ) -> Status | None:
    """Return what runs of this environment's stack, None without a server. Starts nothing."""
    folders = find_folders(env)
    found = {role: said for role in ROLES if (said := read_supervision(folders, role)) is not None}
    if "server" not in found:
        return None
    children = {name: child for said in found.values() for name, child in said.children.items()}
    mode: Mode = found["worker"].mode if "worker" in found else "background"
    server = found["server"]
    commands = tuple(sorted({user.pid for user in find_users(folders)}))
    return Status(server.pid, mode, children, commands, private_urls(Path(server.socket)).redis_url)


def is_up(env: Mapping[str, str] = os.environ) -> bool:
    """Whether `usher up` runs, with a worker: a job may go on without its command then."""
    status = read_status(env)
    return status is not None and status.mode == "foreground" and "worker" in status.children


_held: Attachment | None = None


def ensure_server(env: Mapping[str, str] = os.environ) -> Urls:
    """The private server's URLs for a process without a Redis URL, such as a plain `celery -A
    worker worker`; holds it from then on.

    Starts the server when it does not run. The hold lasts as long as the process. Raises
    `StackError`.
    """
    global _held
    if _held is None:
        _held = attach("server", env)
    return _held.urls


def keep_server() -> list[str]:
    """`Attachment.keep` for the hold of `ensure_server`, if there is one. Call it on a timer."""
    return [] if _held is None else _held.keep()
