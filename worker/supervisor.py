"""The supervisor of the private stack: one small process that runs the server, and a worker while a command needs one.

It holds the state folder's lock, so there is one a folder, and starts the server first and stops it last. Commands hold a connection
to its control socket while they run (`control`); the worker ends a grace after the last command that needed it has gone, and so does
everything after the last command of any kind. `usher up` runs the same supervisor in the foreground, with beat and Flower, until it is
told to end; commands then use its worker as they find it.

    python -m worker.supervisor --background --lock-fd N      started by `attachment`, which took the lock and passes it on
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from worker.control import MESSAGE_BYTES_MAX, VERSION, build_note, dump_message, parse_message
from worker.environment import (
    COMMAND_LINE,
    Order,
    build_plain_env,
    build_worker_env,
    find_differences,
)
from worker.folders import Folders, StackError, find_folders
from worker.lockfile import FileLock, adopt_lock, find_place, try_lock
from worker.logs import set_up_small
from worker.private import (
    Urls,
    build_server_spec,
    ensure_ledger_key,
    explain_server_end,
    find_server_program,
    private_urls,
    wait_for_ping,
)
from worker.processes import Child, ChildSpec, Keeper, Nursery, explain_end, open_log, read_last_line
from worker.sandboxed import READY_WITHIN_S, build_sandbox_spec, wait_for_sandbox

logger = logging.getLogger("usher.stack")

Role = Literal["worker", "beat", "flower"]
Mode = Literal["background", "foreground"]

GRACE_S = 10.0
"""From the last command's end to the stack's: long enough for the next command of a person at work. USHER_GRACE_S changes it."""

START_GRACE_S = 5.0
"""The least time that a new supervisor waits for the command that started it."""

SERVER_UP_S = 60.0
"""A server that reads a large append-only file takes its time; a command is told to wait that long."""

SERVER_SLOW_S = 5.0
"""When to tell a command that it will take longer."""

WORKER_PATIENCE_S = 40.0
"""A worker's warm shutdown: above one Graph request (25 s) with its retries, see `[graph].timeout_s`."""

REPLACE_S = WORKER_PATIENCE_S + 20
"""How long a command waits for a worker when an earlier one has to end first."""


@dataclass(eq=False, slots=True)
class _Client:
    """A command that is attached."""

    pid: int
    writer: asyncio.StreamWriter
    needs_worker: bool
    has_worker: bool = False
    """The running worker is the one it asked for."""

    def tell(self, message: dict[str, Any]) -> None:
        if not self.writer.is_closing():
            self.writer.write(dump_message(message))


class Supervisor:
    """The stack of one state folder. `run` is its whole life; the lock is the caller's to close afterwards."""

    def __init__(
        self,
        folders: Folders,
        lock: FileLock,
        env: Mapping[str, str],
        *,
        mode: Mode = "background",
        roles: Iterable[Role] = (),
        order: Order | None = None,
        on_ready: Callable[[Urls], None] = lambda urls: None,
    ) -> None:
        self._folders = folders
        self._lock = lock
        self._env = build_plain_env(env, folders)
        self._mode = mode
        self._roles = tuple(roles)
        self._order = order
        self._on_ready = on_ready
        self._grace_s = _read_grace_s(env)
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keepers: dict[str, Keeper] = {}

    async def run(self) -> None:
        """Serve until nobody needs the stack, or a signal ends it. Raises `StackError` when the foreground's server does not start."""
        umask = os.umask(0o077)
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._change = asyncio.Lock()  # one change of worker or sandbox at a time
        self._nursery = Nursery()
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for sign in signals:
            loop.add_signal_handler(sign, self._on_signal)
        self._quiet_since = loop.time() + max(0.0, START_GRACE_S - self._grace_s)
        self._worker_quiet_since = loop.time()
        try:
            self._folders.sandbox_ready.unlink(missing_ok=True)
            self._start_server()
            # A path that was left by a supervisor that was killed; the lock says that nobody listens there now.
            self._folders.control_socket.unlink(missing_ok=True)
            self._listener = await asyncio.start_unix_server(
                self._serve, self._folders.control_socket, limit=MESSAGE_BYTES_MAX, start_serving=True
            )
            self._lock.write_note(build_note(self._mode, self._folders.control_socket, find_place()))
            if self._mode == "foreground":
                await self._start_roles()
            await self._govern()
        finally:
            await self._end()
            for sign in signals:
                loop.remove_signal_handler(sign)
            self._nursery.close()
            os.umask(umask)

    # What runs

    def _start_server(self) -> None:
        program = find_server_program(self._env)
        spec = build_server_spec(self._folders, program, self._env)
        self._keepers["server"] = Keeper(
            self._nursery,
            spec,
            explain=lambda code: explain_server_end(self._folders, code),
            ready=lambda child: wait_for_ping(self._folders.server_socket, child),
            on_trouble=lambda why: self._tell_all(why, self._clients),
        )

    async def _start_roles(self) -> None:
        """The foreground stack's own children."""
        if self._order is None:
            raise ValueError("a foreground stack needs an order")
        waiting = asyncio.ensure_future(self._keepers["server"].wait_up(SERVER_UP_S))
        ending = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not waiting.done():
            waiting.cancel()
            return
        waiting.result()
        self._on_ready(self._urls_for(self._order))
        for role in self._roles:
            self._start_role(role, self._order)

    def _start_role(self, role: Role, order: Order) -> Keeper:
        """Start a worker, beat or Flower with a command's environment."""
        log = self._folders.log(role) if self._mode == "background" else None
        spec = ChildSpec(
            name=role,
            argv=getattr(order.commands, role),
            env=build_worker_env(order, self._folders, self._urls_for(order)),
            cwd=self._folders.state,
            lock=self._folders.lock(role),
            log=log,
            patience_s=WORKER_PATIENCE_S if role == "worker" else 10.0,
        )
        return self._keep(role, spec)

    def _keep(self, role: str, spec: ChildSpec, ready: Callable[[Child], Awaitable[None]] | None = None) -> Keeper:
        log = spec.log

        def explain(code: int) -> str:
            return explain_end(role, code, log, read_last_line(log) if log is not None else "")

        keeper = Keeper(
            self._nursery,
            spec,
            explain=explain,
            ready=ready,
            on_trouble=lambda why: self._tell_all(why, [client for client in self._clients if client.needs_worker]),
        )
        self._keepers[role] = keeper
        return keeper

    def _urls_for(self, order: Order) -> Urls:
        """With embedded mode's own key for a command that configures none."""
        return private_urls(self._folders.server_socket, ensure_ledger_key(self._folders) if order.makes_key else None)

    async def _stop(self, role: str) -> None:
        keeper = self._keepers.pop(role, None)
        if keeper is not None:
            await keeper.stop(self._hurry)
        if role == "sandbox":
            self._folders.sandbox_ready.unlink(missing_ok=True)

    # When it ends

    def _on_signal(self) -> None:
        if self._ending.is_set():
            self._hurry.set()  # asked twice: no more waiting for the worker's batch
        self._ending.set()
        self._changed.set()

    async def _govern(self) -> None:
        """Return when the stack is to end. Meanwhile, end the worker when nobody has needed it for a grace."""
        loop = asyncio.get_running_loop()
        while not self._ending.is_set():
            self._changed.clear()
            now = loop.time()
            worker_until = self._worker_quiet_since + self._grace_s
            until = self._quiet_since + self._grace_s
            if self._mode == "foreground" or self._clients:
                until = float("inf")
            idle = self._keepers.keys() & {"worker", "sandbox"}
            if self._mode == "foreground" or not idle or any(client.needs_worker for client in self._clients):
                worker_until = float("inf")
            if min(until, worker_until) <= now:
                await self._end_worker()
                if until <= now and not self._clients:
                    return
                continue
            timeout_s = min(until, worker_until) - now
            try:
                async with asyncio.timeout(None if timeout_s == float("inf") else timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _end_worker(self) -> None:
        async with self._change:
            if not any(client.needs_worker for client in self._clients):
                await self._stop("worker")
                await self._stop("sandbox")

    async def _end(self) -> None:
        """Take no more commands, end the children, the server last."""
        self._ending.set()
        if hasattr(self, "_listener"):
            self._listener.close()
            self._folders.control_socket.unlink(missing_ok=True)
        self._lock.clear_note()
        for client in list(self._clients):
            client.writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A clean-up that fails must not keep the next ones from running.
        outcomes = await asyncio.gather(
            *(self._stop(role) for role in ("beat", "flower", "worker")), return_exceptions=True
        )
        for role in ("sandbox", "server"):
            outcomes += await asyncio.gather(self._stop(role), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                logger.error("a child did not end in order: %r", outcome)

    # Commands

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line until the command has gone."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            if self._ending.is_set():
                return  # accepted in the last instant; the command sees the end of the line and asks again
            async with asyncio.timeout(10):
                message = parse_message(await reader.readline())
            if message.get("v") != VERSION:
                why = f"Another version of usher runs the private stack (process {os.getpid()}): stop it first."
                writer.write(dump_message({"error": why}))
            elif message.get("ask") == "status":
                writer.write(dump_message({"status": self._build_status()}))
            elif message.get("ask") == "end":
                writer.write(dump_message(self._answer_end()))
            elif message.get("ask") == "attach":
                await self._attend(message, reader, writer)
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # the command has gone, or is none of ours
        finally:
            writer.close()
            if task is not None:
                self._tasks.discard(task)

    async def _attend(
        self, message: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Give an attached command what it needs, and keep it in the books until its connection closes."""
        client = _Client(int(message.get("pid", 0)), writer, message.get("need") == "worker")
        self._clients.add(client)
        self._changed.set()
        # Shielded: a worker half started for a command that was killed is the governor's to end, not a cancellation's.
        giving = asyncio.ensure_future(self._give(client, message))
        gone = asyncio.ensure_future(_read_to_end(reader))
        try:
            await asyncio.wait({giving, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                client.tell(giving.result())
                await gone
        finally:
            gone.cancel()
            if self._ending.is_set():
                giving.cancel()
            await asyncio.gather(giving, gone, return_exceptions=True)
            self._clients.discard(client)
            now = asyncio.get_running_loop().time()
            self._quiet_since = now
            if client.needs_worker:
                self._worker_quiet_since = now
            self._changed.set()

    async def _give(self, client: _Client, message: dict[str, Any]) -> dict[str, Any]:
        try:
            await self._wait_for_server(client)
            if client.needs_worker:
                order = Order.from_wire(message["order"])
                if self._change.locked():
                    client.tell({"wait": REPLACE_S, "why": "The worker of an earlier command is finishing its batch."})
                async with self._change:
                    if message.get("sandbox"):
                        await self._provide_sandbox(order)
                    await self._provide_worker(client, order)
        except StackError as error:
            return {"error": str(error)}
        except (KeyError, TypeError) as error:
            return {"error": f"The request could not be read ({error!r})."}
        log = str(self._folders.log("worker"))
        return {
            "ready": {"socket": str(self._folders.server_socket), "pid": os.getpid(), "mode": self._mode, "log": log}
        }

    async def _wait_for_server(self, client: _Client) -> None:
        waiting = asyncio.ensure_future(self._keepers["server"].wait_up(SERVER_UP_S))
        try:
            done, _ = await asyncio.wait({waiting}, timeout=SERVER_SLOW_S)
            if not done:
                client.tell({"wait": SERVER_UP_S, "why": "The private server is still reading its data."})
            await waiting
        finally:
            waiting.cancel()

    async def _provide_sandbox(self, order: Order) -> None:
        keeper = self._keepers.get("sandbox")
        if keeper is None:
            log = self._folders.log("sandbox")
            spec = build_sandbox_spec(self._folders, order.commands.sandbox, self._env, log)
            keeper = self._keep("sandbox", spec, lambda child: wait_for_sandbox(self._folders, child))
        try:
            await keeper.wait_up(READY_WITHIN_S)
        except StackError:
            await self._stop("sandbox")
            raise

    async def _provide_worker(self, client: _Client, order: Order) -> None:
        """A worker that runs with this order; raises `StackError` when somebody else's worker stands in the way."""
        keeper = self._keepers.get("worker")
        different = find_differences(self._order, order) if keeper is not None and self._order is not None else []
        if self._mode == "foreground":
            different = [name for name in different if name != COMMAND_LINE]
        if different:
            names = ", ".join(different)
            if self._mode == "foreground":
                raise StackError(
                    f"`usher up` (process {os.getpid()}) runs its worker with other settings ({names}): "
                    "use the same here, or stop it and start it again with these."
                )
            others = sorted(other.pid for other in self._clients if other is not client and other.has_worker)
            if others:
                raise StackError(
                    f"Another usher command (process {others[0]}) runs its worker with other settings ({names}): "
                    "use the same here, or wait until it has ended."
                )
            client.tell({"wait": REPLACE_S, "why": "The worker is started again with this command's settings."})
            await self._stop("worker")
            keeper = None
        elif keeper is not None and self._has_older_file(client, order):
            # It would read the file by itself, but some seconds late: rows of this command must not go where the old one sent them.
            client.tell({"wait": REPLACE_S, "why": "The worker is started again with the changed configuration."})
            await self._stop("worker")
            keeper = None
        if keeper is None:
            self._order = order
            keeper = self._start_role("worker", order)
        try:
            await keeper.wait_up(5.0)
        except StackError:
            if not any(other.has_worker for other in self._clients):
                await self._stop("worker")
            raise
        client.has_worker = True

    def _has_older_file(self, client: _Client, order: Order) -> bool:
        """Whether a worker that nobody else uses was started before the configuration file was changed."""
        if self._mode == "foreground" or self._order is None or self._order.content == order.content:
            return False
        return not any(other is not client and other.has_worker for other in self._clients)

    def _answer_end(self) -> dict[str, Any]:
        """Make way for `usher up`, unless that would take the stack from under somebody."""
        if self._mode == "foreground":
            return {"error": f"`usher up` runs already for {self._folders.state} (process {os.getpid()})."}
        if self._clients:
            pids = ", ".join(str(pid) for pid in sorted(client.pid for client in self._clients))
            return {"error": f"Another usher command uses the private stack (process {pids}): wait until it has ended."}
        self._ending.set()
        self._changed.set()
        return {"ending": True}

    def _build_status(self) -> dict[str, Any]:
        children = {
            name: {"pid": keeper.child.pid if keeper.child else None, "trouble": keeper.trouble}
            for name, keeper in self._keepers.items()
        }
        commands = sorted(client.pid for client in self._clients)
        urls = private_urls(self._folders.server_socket)
        who = {"pid": os.getpid(), "mode": self._mode, "redis_url": urls.redis_url}
        return {**who, "children": children, "commands": commands}

    def _tell_all(self, why: str, clients: Iterable[_Client]) -> None:
        for client in clients:
            client.tell({"notice": why})


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    """Return when the command has closed its connection, or was killed."""
    try:
        while await reader.read(4096):
            pass
    except OSError:
        pass


def _read_grace_s(env: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(env.get("USHER_GRACE_S", "")))
    except ValueError:
        return GRACE_S


def main(argv: list[str] | None = None) -> int:
    """`python -m worker.supervisor`: what `attachment` starts. People use `usher up`."""
    parser = argparse.ArgumentParser(prog="python -m worker.supervisor", description="Run usher's private stack.")
    parser.add_argument("--background", action="store_true", help="leave the terminal and log to the state folder")
    parser.add_argument(
        "--foreground", action="store_true", help="with worker, beat and Flower, until Ctrl-C (default)"
    )
    parser.add_argument("--lock-fd", type=int, default=-1, help="a descriptor that holds the supervisor's lock already")
    options = parser.parse_args(argv)
    if options.foreground or not options.background:
        from worker.foreground import run_foreground  # it imports this module

        set_up_small()
        try:
            return run_foreground()
        except StackError as error:
            sys.stderr.write(f"{error}\n")
            return 2
    return _run_background(options.lock_fd)


def _run_background(lock_fd: int) -> int:
    # A second fork, so that the command that started us is not our parent: it need not wait for us, and we cannot become its zombie.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    folders = find_folders(os.environ)
    lock = adopt_lock(folders.supervisor_lock, lock_fd) if lock_fd >= 0 else try_lock(folders.supervisor_lock)
    if lock is None:
        return 0
    log = open_log(folders.log("supervisor"))
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    set_up_small()
    try:
        asyncio.run(Supervisor(folders, lock, os.environ).run())
    except StackError as error:
        # The last line of the log is what the command that started us reads out.
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        lock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
