"""`usher up` on a real Valkey and real processes: the private stack while somebody looks on."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.stack.stacks import Stack, client_of, eventually, line_of, run_beside
from worker.stack.attachment import is_up, read_status
from worker.stack.folders import StackError
from worker.stack.sandboxed import find_sandbox

UP = """
import json, sys
from worker.stack.environment import Commands
from worker.stack.folders import StackError
from worker.stack.foreground import run_foreground
commands = Commands(**{name: tuple(argv) for name, argv in json.loads(sys.argv[1]).items()})
async def tell(urls, describe):
    print(urls.redis_url, flush=True)
try:
    code = run_foreground(tell, commands=commands)
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
    with run_beside(stack, UP, _commands_json(stack)) as up:
        assert line_of(up).startswith("unix://")
        eventually(lambda: {event["role"] for event in stack.told("started")} == {"worker", "beat", "flower"})
        assert is_up(stack.env)
        with stack.attach("worker", sandbox=True):
            assert stack.pid_of("worker") in {event["pid"] for event in stack.told("started")}
            assert find_sandbox(stack.folders.sandbox_ready) is not None
        with pytest.raises(StackError, match=rf"`usher up` \(process {up.pid}\).*USHER_MARK"):
            stack.attach("worker", USHER_MARK="other")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
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
    with run_beside(stack, UP, _commands_json(stack)) as up:
        assert line_of(up).startswith("unix://")
        eventually(lambda: {event["role"] for event in stack.told("started")} == {"worker", "beat", "flower"})
        environ = {event["role"]: Path(f"/proc/{event['pid']}/environ").read_bytes() for event in stack.told("started")}
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    assert {role: b"hush-hush" in raw for role, raw in environ.items()} == {
        "worker": True,
        "beat": False,
        "flower": False,
    }
    assert {role for role, raw in environ.items() if b"name:word" in raw} == {"worker", "flower"}


def test_a_second_foreground_stack_is_refused(stack: Stack) -> None:
    """One `usher up` a state folder; the sentence says which process runs."""
    with run_beside(stack, UP, _commands_json(stack)) as up:
        assert line_of(up).startswith("unix://")
        with run_beside(stack, UP, _commands_json(stack)) as second:
            assert f"process {up.pid}" in line_of(second)
            assert second.wait(60) == 2
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0


def test_the_foreground_stack_takes_over_from_an_idle_background_one(stack: Stack) -> None:
    """`usher up` within the grace of a command that has left: the background's worker makes way,
    the data stays.
    """
    stack.env["USHER_GRACE_S"] = "60"
    with stack.attach("worker") as held, closing(client_of(held.redis_url)) as client:
        client.set("kept", "1")
        eventually(lambda: stack.told("started"))
        with run_beside(stack, UP, _commands_json(stack)) as early:
            assert f"process {os.getpid()}" in line_of(early), "in use: refused"
            assert early.wait(60) == 2
    with run_beside(stack, UP, _commands_json(stack)) as up:
        with closing(client_of(line_of(up))) as client:
            assert client.get("kept") == b"1"
        assert is_up(stack.env)
        assert [event["role"] for event in stack.told("server is there")] == ["worker"], "ended in order"
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    assert stack.is_gone(), "without the grace of the server's own supervisor"


def test_the_foreground_stack_leaves_the_server_to_a_command_that_uses_it(stack: Stack) -> None:
    """`usher up` comes and goes beside a reading command, which keeps its server all the while."""
    with stack.attach() as held, closing(client_of(held.redis_url)) as client:
        with run_beside(stack, UP, _commands_json(stack)) as up:
            assert line_of(up) == held.redis_url
            up.send_signal(signal.SIGTERM)
            assert up.wait(60) == 0
        assert client.ping()
        assert held.keep() == []


def test_the_foreground_stack_outlives_the_supervisor_of_its_server(stack: Stack) -> None:
    """kill -9 of the process that keeps the server: `usher up` starts another on the same data."""
    with run_beside(stack, UP, _commands_json(stack)) as up:
        url = line_of(up)
        first = read_status(stack.env)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: (found := read_status(stack.env)) is not None and found.pid != first.pid)
        with stack.attach() as held, closing(client_of(held.redis_url)) as client:
            assert held.redis_url == url
            assert client.ping()
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
