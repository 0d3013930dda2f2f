"""The processes of one private stack: how each is started and kept, whom its trouble is told, and in what order they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from worker.stack.attendance import Attendance
from worker.stack.environment import Order, build_watcher_env, build_worker_env
from worker.stack.folders import Folders
from worker.stack.keeper import Keeper
from worker.stack.last_words import explain_end, read_last_line
from worker.stack.private import (
    Urls,
    build_server_spec,
    ensure_ledger_key,
    explain_server_end,
    private_urls,
    wait_for_ping,
)
from worker.stack.processes import Child, ChildSpec, Nursery
from worker.stack.sandboxed import build_sandbox_spec, wait_for_sandbox
from worker.stack.server_program import choose_server_program

logger = logging.getLogger("usher.stack")

Role = Literal["worker", "beat", "flower"]

WORKER_PATIENCE_S = 40.0
"""A worker's warm shutdown: above one Graph request (25 s) with its retries, see `[graph].timeout_s`."""


class Crew:
    """What runs in one stack, each under its name: server, worker, sandbox, beat, flower.

    `env` is that of the server and the sandbox. A worker has the one of the order that it is started with; beat and Flower have as much of
    it as they need.
    """

    def __init__(self, folders: Folders, env: Mapping[str, str], nursery: Nursery, attendance: Attendance) -> None:
        self.hurry = asyncio.Event()
        """Once set, nobody's warm shutdown is waited for any more."""
        self.worker_order: Order | None = None
        """What the worker was last started with."""
        self._folders = folders
        self._env = env
        self._nursery = nursery
        self._attendance = attendance
        self._keepers: dict[str, Keeper] = {}

    def find(self, name: str) -> Keeper | None:
        """The keeper of one of them; None where it is not to run."""
        return self._keepers.get(name)

    @property
    def serves_commands(self) -> bool:
        """Whether anything runs that only commands need: a worker, a sandbox."""
        return bool(self._keepers.keys() & {"worker", "sandbox"})

    def start_server(self) -> None:
        """Start the server. Raises `StackError` where there is no program for it."""
        program = choose_server_program(self._folders, self._env)
        self._keepers["server"] = Keeper(
            self._nursery,
            build_server_spec(self._folders, program, self._env),
            explain=lambda code: explain_server_end(self._folders, code),
            ready=lambda child: wait_for_ping(self._folders.server_socket, child),
            on_trouble=self._attendance.tell_all,
        )

    async def wait_for_server(self, within_s: float) -> None:
        """Return when the server answers. Raises `StackError` when it does not within that time, or keeps ending."""
        await self._keepers["server"].wait_up(within_s)

    def start_role(self, role: Role, order: Order) -> Keeper:
        """Start a worker, beat or Flower with a command's environment."""
        if role == "worker":
            self.worker_order = order
        spec = ChildSpec(
            name=role,
            argv=getattr(order.commands, role),
            env=self._env_of(role, order),
            cwd=self._folders.state,
            lock=self._folders.lock(role),
            log=self._folders.log(role),
            patience_s=WORKER_PATIENCE_S if role == "worker" else 10.0,
        )
        return self._keep(role, spec)

    def _env_of(self, role: Role, order: Order) -> dict[str, str]:
        urls = self.urls_for(order)
        if role == "worker":
            return build_worker_env(order, self._folders, urls)
        return build_watcher_env(order, self._folders, urls, *(("FLOWER_",) if role == "flower" else ()))

    def start_sandbox(self, order: Order) -> Keeper:
        """Start the sandbox."""
        log = self._folders.log("sandbox")
        spec = build_sandbox_spec(self._folders, order.commands.sandbox, self._env, log)
        return self._keep("sandbox", spec, lambda child: wait_for_sandbox(self._folders, child))

    def urls_for(self, order: Order) -> Urls:
        """The server's URLs, with embedded mode's own key for a command that configures none."""
        return private_urls(self._folders.server_socket, ensure_ledger_key(self._folders) if order.makes_key else None)

    async def stop(self, name: str) -> None:
        """End one of them, in order; nothing where it does not run."""
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            await keeper.stop(self.hurry)
        if name == "sandbox":
            self._folders.sandbox_ready.unlink(missing_ok=True)

    async def end(self) -> None:
        """End all of them, the server last."""
        for together in (("beat", "flower", "worker"), ("sandbox",), ("server",)):
            # A clean-up that fails must not keep the next ones from running.
            for outcome in await asyncio.gather(*map(self.stop, together), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    logger.error("a child did not end in order: %r", outcome)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Name → {pid, trouble}: pid is None between two lives, trouble '' while it is well."""
        return {
            name: {"pid": keeper.child.pid if keeper.child else None, "trouble": keeper.trouble}
            for name, keeper in self._keepers.items()
        }

    def _keep(self, name: str, spec: ChildSpec, ready: Callable[[Child], Awaitable[None]] | None = None) -> Keeper:
        log = spec.log

        def explain(code: int) -> str:
            return explain_end(name, code, log, read_last_line(log) if log is not None else "")

        keeper = Keeper(
            self._nursery,
            spec,
            explain=explain,
            ready=ready,
            on_trouble=self._attendance.tell_those_who_need_the_worker,
        )
        self._keepers[name] = keeper
        return keeper
