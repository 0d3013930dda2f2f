"""usher against Entra and Graph at their public names, which lead to a local TLS server: nothing in
the configuration says otherwise.

Once through a proxy, which needs no privilege, and once by name in a network of the test's own.
"""

from __future__ import annotations

import array
import asyncio
import csv
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, plain_environment, wait_until
from tests.sandboxes import Sandbox, connection_table, run_sandbox
from tests.servers import run_proxy
from worker.stack.attachment import read_status

LOGIN, GRAPH = "login.microsoftonline.com", "graph.microsoft.com"
SANDBOX = ("--names", f"{LOGIN},{GRAPH}", "--quota", "off", "--replication", "0")
QUOTA = """
[quota]
invitations_per_tenant = "1000000/5s"
writes_per_app_and_tenant = "1000000/5s"
writes_per_tenant = "1000000/5s"
writes_per_app = "1000000/5s"
units_per_app_and_tenant = "1000000/5s"
units_per_app = "1000000/5s"
"""
"""As good as none: what is tested is the way, and the documented quota would make it last three
minutes.
"""
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the private server's socket lies below it."""
    made = Path(tempfile.mkdtemp(prefix="pub", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _prepare(folder: Path, sandbox: Sandbox, rows: int) -> tuple[list[str], dict[str, str]]:
    """Write list and configuration; return the command and its environment, trust in the sandbox's
    authority included.
    """
    with (folder / "guests.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "display_name"])
        writer.writerows([f"guest{number}@fabrikam.example", f"Guest {number}"] for number in range(rows))
    table = connection_table("contoso", sandbox.ready, authority="", graph_url="", ca_file="")
    (folder / "usher.toml").write_text(table + QUOTA, encoding="utf-8")
    env = plain_environment(
        USHER_CONFIG=str(folder / "usher.toml"),
        USHER_STATE_DIR=str(folder / "state"),
        USHER_GRACE_S="0.5",
        HOME=str(folder),
        **dict.fromkeys(TRUST, str(sandbox.ready["ca_file"])),
    )
    env.pop("XDG_RUNTIME_DIR", None)
    return [sys.executable, "-m", "cli", "invite", str(folder / "guests.csv"), "-c", "contoso", "--json"], env


def _run(argv: list[str], env: dict[str, str], folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        argv, env=env, cwd=folder, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
    )
    wait_until(lambda: read_status(env) is None, 30, "the end of the private stack")
    return done.returncode, done.stdout, done.stderr


def _check(rows: int, run: tuple[int, str, str], stats: dict[str, Any]) -> None:
    """Each guest once, each mailed once, at most four token requests, status 0, the counts as JSON
    on the last line.
    """
    status, stdout, stderr = run
    assert status == 0, stderr[-3000:]
    told = json.loads(stdout.splitlines()[-1])
    assert {name: told[name] for name in ("connection", "state", "rows", "invited")} == {
        "connection": "contoso",
        "state": "done",
        "rows": rows,
        "invited": rows,
    }
    assert sum(told[name] for name in ("already_guest", "skipped", "failed", "in_doubt", "pending", "cancelled")) == 0
    mails = stats["mails"]
    assert (stats["invited"], stats["invited_again"]) == (rows, 0)
    assert (mails["total"], mails["addresses"], mails["max_per_address"]) == (rows, rows, 1)
    assert 1 <= sum(stats["requests"]["token"].values()) <= 4


@pytest.mark.timeout(400)
async def test_five_thousand_rows_through_a_proxy(folder: Path) -> None:
    """Signing in and inviting both go to the public names, through `HTTPS_PROXY`, and trust what
    the environment names.
    """
    with run_sandbox(folder, *SANDBOX) as sandbox:
        argv, env = _prepare(folder, sandbox, 5_000)
        async with run_proxy(sandbox.port) as (proxy, asked):
            told = await asyncio.to_thread(_run, argv, {**env, "HTTPS_PROXY": proxy}, folder)
            hosts = {head.split()[1] for head in asked}
        _check(5_000, told, sandbox.ask("stats"))
    assert hosts == {f"{LOGIN}:443", f"{GRAPH}:443"}


@pytest.mark.timeout(400)
def test_five_thousand_rows_by_name(folder: Path) -> None:
    """The same without a proxy: in a namespace of its own both names are this machine, and the
    sandbox has port 443.
    """
    unshare = _find_unshare()
    code = f"from tests.integration.net.test_public_hosts import inside; inside({str(folder)!r}, 5_000)"
    env = plain_environment(PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [*unshare, sys.executable, "-c", code],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    _check(5_000, told["run"], told["stats"])


def _find_unshare() -> list[str]:
    """Return the command that makes such a namespace here; skip where none may be made, which no
    package changes.
    """
    program = shutil.which("unshare")
    said = "there is no unshare program"
    for options in (["--mount", "--net"], ["--user", "--map-root-user", "--mount", "--net"]):
        if program is None:
            break
        trial = [program, *options, "mount", "--bind", "/etc/hosts", "/etc/hosts"]
        done = subprocess.run(trial, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return [program, *options]
        said = done.stderr.strip()
    pytest.skip(
        f"this machine lets nobody make a mount and network namespace ({said}); the way through a proxy is tested"
    )


def inside(folder_name: str, rows: int) -> None:
    """Run in the new namespace: give it a loopback and its own hosts file, then do what the other
    test does.
    """
    folder = Path(folder_name)
    _raise_loopback()
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1 {LOGIN} {GRAPH}\n", encoding="utf-8")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    with run_sandbox(folder, *SANDBOX, "--port", "443") as sandbox:
        argv, env = _prepare(folder, sandbox, rows)
        told = {"run": _run(argv, env, folder), "stats": sandbox.ask("stats")}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


def _raise_loopback() -> None:
    """`ip link set lo up`, without the program.
    https://man7.org/linux/man-pages/man7/netdevice.7.html
    """
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = array.array("b", struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(handle, get_flags, request)
        (flags,) = struct.unpack_from("h", request, 16)
        fcntl.ioctl(handle, set_flags, struct.pack("16sh22x", b"lo", flags | up))
    assert os.geteuid() == 0
