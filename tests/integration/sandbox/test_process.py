"""The sandbox's life as a program: options, files, signals, a kill, its parent's end."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.sandbox.callers import Running, batch_of, text_of
from tests.processes import ROOT


async def test_state_dir_outlives_a_kill(start: Callable[..., Running], tmp_path: Path) -> None:
    """With a state folder, guests, mails, secret and trust survive a SIGKILL, and a token taken
    before still works.
    """
    folder = str(tmp_path / "state")
    first = start("--state-dir", folder, "--replication", "0")
    headers = await first.sign_in()
    await first.send("POST", "/$batch", batch_of(1, 2))
    assert first.session
    await first.session.close()
    ca, secret = text_of(first.ready["ca_file"]), text_of(first.ready["client_secret_file"])
    first.process.kill()
    first.process.wait(60)
    second = start("--state-dir", folder, "--replication", "0")
    assert text_of(second.ready["ca_file"]) == ca
    assert text_of(second.ready["client_secret_file"]) == secret
    await second.sign_in()
    second.headers = headers
    answer = await second.send("POST", "/$batch", batch_of(1))
    assert (await answer.json())["responses"][0]["status"] == 201
    stats = await second.control("stats")
    assert (stats["mails"]["total"], stats["mails"]["max_per_address"]) == (3, 2)
    assert second.session
    await second.session.close()


async def test_many_tenants(start: Callable[..., Running]) -> None:
    """Each tenant has its own application, secret, people and counts."""
    running = start("--tenants", "3", "--clock-skew", "-3600")
    assert len({tenant["tenant_id"] for tenant in running.ready["tenants"]}) == 3
    assert len({tenant["client_id"] for tenant in running.ready["tenants"]}) == 3
    third = running.ready["tenants"][2]
    running.ready |= third
    await running.sign_in()
    answer = await running.send("POST", "/$batch", batch_of(1))
    assert (await answer.json())["responses"][0]["status"] == 201
    stats = await running.control("stats")
    assert [tenant["invited"] for tenant in stats["tenants"].values()] == [0, 0, 1]
    assert running.session
    await running.session.close()


def test_names_are_in_the_certificate(start: Callable[..., Running]) -> None:
    """Mapped public host names are served with a certificate that fits them."""
    running = start("--names", "login.microsoftonline.com,graph.microsoft.com")
    context = ssl.create_default_context(cafile=running.ready["ca_file"])
    port = int(running.ready["url"].rpartition(":")[2])
    for name in ("login.microsoftonline.com", "graph.microsoft.com", "localhost", "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            assert secure.version() == "TLSv1.3"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_on_signals(start: Callable[..., Running], number: signal.Signals) -> None:
    """Told to end, it ends with 0 and takes its ready file and secrets with it."""
    running = start()
    running.process.send_signal(number)
    assert running.process.wait(60) == 0
    assert not running.ready_file.exists()
    assert not Path(running.ready["client_secret_file"]).exists()


def test_ends_with_its_parent(start: Callable[..., Running]) -> None:
    """A sandbox started on demand does not outlive who started it."""
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = start("--parent-pid", str(parent.pid))
    parent.communicate(b"\n", timeout=60)
    assert running.process.wait(60) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],
        ["--host", "example.com"],
        ["--faults", "505=1"],
        ["--quota", "writes=1/1s"],
        ["--latency", "slow"],
        ["--port", "99999"],
        ["--tenants", "0"],
        ["--time-scale", "0"],
    ],
)
def test_bad_options_are_one_sentence(arguments: list[str]) -> None:
    """Status 2, one sentence, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert b"Traceback" not in done.stderr


def test_port_taken(start: Callable[..., Running]) -> None:
    """A port somebody else has is one sentence, status 2."""
    port = start().ready["url"].rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "--port", port], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode() == f"sandbox: The sandbox cannot listen on 127.0.0.1 port {port}: {os.strerror(98)}.\n"
