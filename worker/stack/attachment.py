"""A command's hold on the private stack: attach, and it runs; leave, and it ends by itself soon after.

`attach` finds the supervisor, or starts it, and keeps a connection to it open for as long as the command runs. However many commands
come at once, one starts it: the one that gets the state folder's lock, which it hands to the new process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from worker.stack.control import VERSION, Channel, open_channel
from worker.stack.environment import Commands, build_order, build_plain_env, build_stack_variables
from worker.stack.folders import Folders, StackError, find_folders
from worker.stack.last_words import read_last_line
from worker.stack.lockfile import FileLock, try_lock
from worker.stack.private import Urls, ensure_ledger_key, private_urls
from worker.stack.sandboxed import SandboxInfo, read_sandbox_info

Need = Literal["server", "worker"]

READY_WITHIN_S = 20.0
"""Longer only where the supervisor says why: a large data file being read, an earlier worker finishing its batch."""

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Status:
    """What a running supervisor says of itself: `mode` is "background" or "foreground" (`usher up`)."""

    pid: int
    mode: str
    children: Mapping[str, Mapping[str, Any]]
    commands: tuple[int, ...]
    redis_url: str


class Attachment:
    """An open hold. A context manager; `close` leaves. Not for use from two threads at once."""

    def __init__(
        self, folders: Folders, request: dict[str, Any], env: Mapping[str, str], key_path: Path | None = None
    ) -> None:
        self._folders = folders
        self._request = request
        self._key_path = key_path
        self._env = dict(env)
        self._notices: list[str] = []
        self._open(READY_WITHIN_S)

    def _open(self, patience_s: float) -> None:
        self._channel, ready = _ask(self._folders, self._request, self._env, time.monotonic() + patience_s)
        self.urls = private_urls(Path(ready["socket"]), self._key_path)
        self.log_path = Path(ready["log"])
        """The worker's log."""
        self.supervisor_pid = int(ready["pid"])

    @property
    def redis_url(self) -> str:
        """For redis-py."""
        return self.urls.redis_url

    @property
    def broker_url(self) -> str:
        """For Celery's broker; the results' is `urls.result_url`."""
        return self.urls.broker_url

    @property
    def key_path(self) -> Path | None:
        """The ledger key that embedded mode made; None where the configuration names another."""
        return self.urls.key_path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables by which `config.load_settings` sees this stack."""
        return build_stack_variables(self.urls)

    @property
    def sandbox(self) -> SandboxInfo | None:
        """The running sandbox, if one runs."""
        return read_sandbox_info(self._folders.sandbox_ready)

    def keep(self) -> list[str]:
        """Call now and then: sentences about children that ended unasked, since the last call.

        Attaches again when the supervisor was killed, which starts a new one on the same data (blocks up to 20 s, then raises
        `StackError`). Otherwise returns at once.
        """
        while True:
            try:
                message = self._channel.receive(time.monotonic())
            except TimeoutError:
                break
            if message is None:
                self._channel.close()
                self._open(READY_WITHIN_S)
                self._notices.append("The private stack had ended and was started again.")
                break
            if "notice" in message:
                self._notices.append(str(message["notice"]))
        notices, self._notices = self._notices, []
        return notices

    def close(self) -> None:
        """Leave. The stack ends by itself a grace after the last command has left."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attach(
    need: Need,
    env: Mapping[str, str] = os.environ,
    *,
    sandbox: bool = False,
    commands: Commands | None = None,
) -> Attachment:
    """Hold the private stack up: the server for a command that reads, the worker too for one that runs a job.

    `sandbox` (with need "worker") has the sandbox running as well. Blocks until what is needed is up. Raises `StackError`, a sentence,
    when that fails or takes longer than 20 s without the supervisor saying why.
    """
    if sandbox and need != "worker":
        raise ValueError("the sandbox runs beside a worker")
    folders = find_folders(env)
    folders.prepare()
    order = build_order(env, folders, commands or Commands())
    request: dict[str, Any] = {"v": VERSION, "ask": "attach", "need": need, "pid": os.getpid()}
    if need == "worker":
        # A reading command keeps its environment to itself.
        request |= {"sandbox": sandbox, "order": order.to_wire()}
    try:
        return Attachment(folders, request, env, ensure_ledger_key(folders) if order.makes_key else None)
    except OSError as error:
        why = error.strerror or error
        raise StackError(f"The private stack in {folders.state} cannot be reached: {why}.") from error


def read_status(env: Mapping[str, str] = os.environ) -> Status | None:
    """What the supervisor of this environment says of itself; None when none runs. Starts nothing, makes nothing."""
    channel = open_channel(find_folders(env))
    if channel is None:
        return None
    deadline = time.monotonic() + 5.0
    try:
        channel.send({"v": VERSION, "ask": "status"}, deadline)
        answer = channel.receive(deadline)
    except OSError:
        return None
    finally:
        channel.close()
    if answer is None or "status" not in answer:
        return None
    status = answer["status"]
    return Status(
        int(status["pid"]), str(status["mode"]), status["children"], tuple(status["commands"]), str(status["redis_url"])
    )


def is_up(env: Mapping[str, str] = os.environ) -> bool:
    """Whether `usher up` runs, with a worker: then a job may be left running without a command beside it."""
    status = read_status(env)
    return status is not None and status.mode == "foreground" and "worker" in status.children


_held: Attachment | None = None


def ensure_server(env: Mapping[str, str] = os.environ) -> Urls:
    """The private server's URLs for a process without a Redis URL, such as a plain `celery -A worker worker`; holds it from then on.

    Starts the server when it does not run. The hold lasts as long as the process. Raises `StackError`.
    """
    global _held
    if _held is None:
        _held = attach("server", env)
    return _held.urls


def keep_server() -> list[str]:
    """`Attachment.keep` for the hold of `ensure_server`; nothing where there is none. Call it on a timer."""
    return [] if _held is None else _held.keep()


def _ask(
    folders: Folders, request: dict[str, Any], env: Mapping[str, str], deadline: float
) -> tuple[Channel, dict[str, Any]]:
    """Find or start the supervisor and put the request to it, until it says ready or the deadline has passed."""
    started = False
    log = folders.log("supervisor")
    log_start = log.stat().st_size if log.exists() else 0
    why = ""
    while time.monotonic() < deadline:
        channel = open_channel(folders)
        if channel is not None:
            started = False  # whatever becomes of it now, it did come up
            try:
                ready, why = _negotiate(channel, request, deadline)
            except BaseException:
                channel.close()
                raise
            if ready is not None:
                return channel, ready
            channel.close()  # it was on its way out: the next look finds nobody, and starts another
        elif (lock := try_lock(folders.supervisor_lock)) is not None:
            if started:
                # Nobody else could have taken the lock that we handed on: the one we started has died with it.
                lock.close()
                raise StackError(read_last_line(log, log_start) or f"The private stack did not start (its log: {log}).")
            _start_supervisor(folders, lock, env)
            started = True
        time.sleep(_POLL_S)
    raise StackError(
        why or f"The private stack in {folders.state} did not answer within {READY_WITHIN_S:.0f} s (its log: {log})."
    )


def _negotiate(channel: Channel, request: dict[str, Any], deadline: float) -> tuple[dict[str, Any] | None, str]:
    """(the supervisor's answer, '') or (None, '') when it ended instead. Raises `StackError` with its refusal."""
    why = ""
    try:
        channel.send(request, deadline)
        while (message := channel.receive(deadline)) is not None:
            if "ready" in message:
                return message["ready"], ""
            if "error" in message:
                raise StackError(str(message["error"]))
            if "wait" in message:
                why = str(message.get("why", ""))
                deadline = max(deadline, time.monotonic() + float(message["wait"]))
    except TimeoutError:
        raise StackError(f"The private stack did not become ready in time. {why}".strip()) from None
    except ConnectionError:
        pass
    return None, why


def _start_supervisor(folders: Folders, lock: FileLock, env: Mapping[str, str]) -> None:
    """Start the supervisor in a session of its own and hand it the lock."""
    lock.clear_note()
    try:
        subprocess.run(
            [sys.executable, "-P", "-m", "worker.stack.background", "--lock-fd", str(lock.fd)],
            env=build_plain_env(env, folders),
            cwd=folders.state,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock.fd,),
            check=False,
        )
    finally:
        lock.close()
