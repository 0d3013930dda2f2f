"""A RabbitMQ and a Valkey behind Sentinel that tests start themselves: own ports, own folders, own
node names, nothing left behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import amqp
import redis

from tests.needs import need
from tests.processes import running, wait_until
from tests.servers import find_valkey, make_certificate

_RABBIT_BINARIES = Path("/usr/lib/rabbitmq/bin")  # the ones on the PATH are wrappers that change the user


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Rabbit:
    """A RabbitMQ of one test's own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._epmd_port = free_port()
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"usher{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # it is to end though it may not have noticed yet that the server has
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
        }
        self.process = self._start()

    @property
    def url(self) -> str:
        """As `[broker].url`."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def run(self, command: str) -> None:
        """Run a command of whoever administers it, as it stands in a shell."""
        env = {**self._env, "PATH": f"{_RABBIT_BINARIES}:{self._env['PATH']}"}
        subprocess.run(["sh", "-euc", command], env=env, cwd=self._folder, check=True, capture_output=True, timeout=60)

    def kill(self) -> None:
        """SIGKILL, Erlang itself included: the process we started is only the shell in front of
        it.
        """
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def start_again(self) -> None:
        """On the same data."""
        self.process = self._start()

    def end(self) -> None:
        """End the server, and the name server of Erlang that it began."""
        self.kill()
        subprocess.run(["epmd", "-port", str(self._epmd_port), "-kill"], capture_output=True, check=False, timeout=20)

    def _start(self) -> subprocess.Popen[bytes]:
        log = self._folder / "rabbit.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(_RABBIT_BINARIES / "rabbitmq-server")],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._folder,
                start_new_session=True,
            )
        wait_until(lambda: process.poll() is not None or self._answers(), 40, "a RabbitMQ that answers")
        assert process.poll() is None, log.read_text()[-3000:]
        return process

    def _answers(self) -> bool:
        try:
            with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=5):
                return True
        except (OSError, amqp.AMQPError):
            return False


@contextmanager
def run_rabbit() -> Iterator[Rabbit]:
    """Run a RabbitMQ until the block ends; skip the test where there is none."""
    need("rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="ur-", dir="/tmp"))
    rabbit = Rabbit(folder)
    try:
        yield rabbit
    finally:
        rabbit.end()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Guarded:
    """A master, its replica, and the Sentinel that watches them; with `trust` all three speak TLS
    and nothing else.

    With passwords the servers want theirs and the Sentinel its own.
    """

    url: str
    master: subprocess.Popen[bytes]
    ports: tuple[int, int]
    sentinel_port: int
    trust: Path | None = None  # the authority of their certificate
    sentinel_password: str = ""

    def kill_master(self) -> None:
        """SIGKILL, as a host that is gone."""
        self.master.kill()
        self.master.wait()

    def master_port(self) -> int:
        """Whom the Sentinel names."""
        found = _ask(
            self.sentinel_port, self.trust, self.sentinel_password, "SENTINEL GET-MASTER-ADDR-BY-NAME", "mymaster"
        )
        return int(found[1]) if found else 0


@contextmanager
def run_guarded(*, tls: bool = False, passwords: bool = False) -> Iterator[Guarded]:
    """Run a Valkey with a replica behind one Sentinel (quorum 1) until the block ends; with TLS a
    Redis, for our Valkey speaks none.
    """
    servers, own = ("p%40ss-servers", "p%40ss-sentinel") if passwords else ("", "")
    server, env = need("redis-server") if tls else find_valkey(), {"PATH": os.environ["PATH"]}
    folder = Path(tempfile.mkdtemp(prefix="ug-", dir="/tmp"))
    first, second, watch = (free_port() for _ in range(3))
    trust, secure = _secure(folder) if tls else (None, {})
    port = "tls-port" if tls else "port"
    plain = {"bind": "127.0.0.1", "save": '""', "appendonly": "yes", "maxmemory-policy": "noeviction", **secure}
    plain["repl-diskless-sync-delay"] = "0"  # a master waits 5 s for more replicas
    guard = {
        "bind": "127.0.0.1",
        **secure,
        "sentinel monitor": f"mymaster 127.0.0.1 {first} 1",
        "sentinel down-after-milliseconds": "mymaster 1000",
        "sentinel failover-timeout": "mymaster 5000",
    }
    if passwords:
        plain |= {"requirepass": unquote(servers), "masterauth": unquote(servers)}
        guard |= {"sentinel auth-pass": f"mymaster {unquote(servers)}", "requirepass": unquote(own)}
    for name, at, settings in (
        ("a", first, plain),
        ("b", second, plain | {"replicaof": f"127.0.0.1 {first}"}),
        ("s", watch, guard),
    ):
        (folder / name).mkdir()
        lines = {port: str(at), "dir": str(folder / name), **settings}
        (folder / f"{name}.conf").write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    try:
        with (
            running((server, str(folder / "a.conf")), folder / "a.log", env, folder) as one,
            running((server, str(folder / "b.conf")), folder / "b.log", env, folder),
        ):

            def follows() -> bool:
                replica = _ask(second, trust, unquote(servers), "INFO", "replication") or {}
                return bool(replica.get("master_link_status") == "up")

            def is_known() -> bool:
                known = _ask(watch, trust, unquote(own), "SENTINEL SLAVES", "mymaster") or []
                return [int(one["port"]) for one in known] == [second]

            # Its Sentinel looks for replicas as it begins, and then every ten seconds
            wait_until(follows, 20, "a replica that follows")
            place = f"127.0.0.1:{watch}/mymaster/0"
            url = f"sentinel://{place}"
            if passwords:
                url = f"sentinel://:{servers}@{place}?sentinel_password={own}"
            if trust is not None:
                url = f"sentinels://{place}?ssl_ca_certs={quote(str(trust), safe='')}"
            guarded = Guarded(url, one, (first, second), watch, trust, unquote(own))
            with running((server, str(folder / "s.conf"), "--sentinel"), folder / "s.log", env, folder):
                wait_until(is_known, 20, "a Sentinel that knows the replica")
                yield guarded
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _secure(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return an authority that no machine trusts by itself, and a server's settings that leave no
    port without TLS.
    """
    made = make_certificate(folder, "localhost", "127.0.0.1")
    files = {"tls-cert-file": str(made.both), "tls-key-file": str(made.both), "tls-ca-cert-file": str(made.certificate)}
    return made.certificate, {"port": "0", **files, "tls-auth-clients": "no", "tls-replication": "yes"}


def _ask(port: int, trust: Path | None, password: str, *words: str) -> Any:
    """Send one command to a server and return what it answers, as redis-py reads it; None where
    nobody is.
    """
    way: dict[str, Any] = {} if trust is None else {"ssl": True, "ssl_ca_certs": str(trust)}
    with (
        suppress(redis.ConnectionError, redis.TimeoutError),
        redis.Redis(port=port, password=password or None, socket_timeout=2, **way) as client,
    ):
        return client.execute_command(*words)
    return None
