"""Redis over TLS: ledger, broker, results, beat and the command line, with certificates checked and
an authority of one's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from redbeat.schedulers import get_redis

from config.sections import RedisSection
from config.settings import Settings
from tests.processes import CELERY, plain_environment, run_command, running, wait_until
from tests.servers import Certificate, listen, make_certificate, start_valkey, stop_valkey
from tests.ushers import run_usher
from worker.app import build_settings
from worker.process.process_settings import ProcessSettings, celery_url
from worker.store.client import open_client


class TlsFront:
    """A TLS end before Valkey's socket, in a thread of its own: whatever arrives is passed on."""

    def __init__(self, socket: Path, certificate: Certificate) -> None:
        self.port = 0
        self._socket = socket
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.both)
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> TlsFront:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(15)
        self._loop.close()

    async def _serve(self) -> None:
        async with listen(self._pass_on, self._context) as self.port:
            self._ready.set()
            await self._end.wait()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._socket)

        async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            finally:
                target.close()

        try:
            await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer))
        finally:
            up_writer.transport.abort()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, for sockets."""
    made = Path(tempfile.mkdtemp(prefix="utls-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def authority(folder: Path) -> Certificate:
    """A certificate for localhost that no machine trusts by itself."""
    return make_certificate(folder, "localhost", "127.0.0.1")


@contextlib.contextmanager
def valkey_with_tls(folder: Path, authority: Certificate) -> Iterator[str]:
    """Yield `rediss://localhost:PORT/0` of a Valkey."""
    server, _ = start_valkey(folder)
    try:
        with TlsFront(folder / "v.sock", authority) as front:
            yield f"rediss://localhost:{front.port}/0"
    finally:
        stop_valkey(server)


def _quoted(path: Path) -> str:
    return str(path).replace("/", "%2F")


@pytest.mark.parametrize("how", ["query", "environment"])
async def test_a_client_trusts_who_it_is_told_to(
    folder: Path, authority: Certificate, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ssl_ca_certs=` in the URL, or SSL_CERT_FILE; without either a stranger's certificate is
    refused, as is another host's.
    """
    with valkey_with_tls(folder, authority) as url:
        strict = open_client(url, tries=0)
        with pytest.raises(redis.exceptions.ConnectionError, match="(?i)certificate"):
            await strict.ping()
        await strict.aclose()
        if how == "query":
            url += f"?ssl_ca_certs={_quoted(authority.certificate)}"
        else:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        client = open_client(url, tries=0)
        assert await client.ping()
        await client.aclose()


def _ask_ledger(url: str) -> None:
    async def ask() -> None:
        client = open_client(url, tries=0)
        try:
            await client.ping()
        finally:
            await client.aclose()

    asyncio.run(ask())


def _ask_broker(url: str) -> None:
    with _app(url).connection_for_write() as connection:
        connection.ensure_connection(max_retries=0, timeout=5)
        connection.default_channel.client.ping()


def _ask_results(url: str) -> None:
    _app(url).backend.client.ping()


def _ask_beat(url: str) -> None:
    get_redis(_app(url)).ping()


def _app(url: str, broker: str = "") -> Celery:
    settings = Settings(redis=RedisSection(url=url))
    at = ProcessSettings(lambda: settings, url, broker or celery_url(url), celery_url(url))
    app = Celery("asks", set_as_current=False)
    app.conf.update(build_settings(at), redbeat_redis_options={}, redis_retry_on_timeout=False)
    return app


@pytest.mark.parametrize("ask", [_ask_ledger, _ask_broker, _ask_results, _ask_beat])
@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_a_certificate_of_another_name_is_refused(folder: Path, name: str, ask: Callable[[str], None]) -> None:
    """By everything of usher's that connects, though its authority is trusted; the right name is
    taken.
    """
    with valkey_with_tls(folder, certificate := make_certificate(folder, name)) as url:
        url += f"?ssl_ca_certs={_quoted(certificate.certificate)}"
        if name == "localhost":
            ask(url)
            return
        with pytest.raises(Exception, match=r"(?i)hostname mismatch|certificate is not valid for"):
            ask(url)


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_rabbitmqs_certificate_is_checked_for_its_name(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """py-amqp checks it only where it is told the name."""
    certificate = make_certificate(folder, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(8))
        writer.close()

    async def connect() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.both)
        async with listen(serve, context) as port:
            url = f"amqps://guest:guest@localhost:{port}//"
            await asyncio.to_thread(_app("redis://h:1/0", url).connection_for_write(connect_timeout=5).connect)

    right = name == "localhost"
    with pytest.raises(OSError, match=None if right else r"(?i)hostname mismatch|certificate is not valid for"):
        asyncio.run(connect())  # the server closes after the greeting
    assert set(heard) == ({b"AMQP\x00\x00\x09\x01"} if right else set())


@pytest.mark.parametrize("how", ["query", "environment"])
def test_everything_works_over_tls(folder: Path, authority: Certificate, how: str) -> None:
    """A worker, a producer, beat's lock and the command line; none of them is told to skip the
    check.
    """

    def start(at: Path, stack: contextlib.ExitStack) -> tuple[str, str]:
        url = stack.enter_context(valkey_with_tls(at, authority))
        ca = f"ssl_ca_certs={_quoted(authority.certificate)}"
        return (f"{url}?{ca}" if how == "query" else url), f"{url}?ssl_cert_reqs=required&{ca}"

    trust = {"SSL_CERT_FILE": str(authority.certificate)} if how == "environment" else {}
    options = ("--quota", "off", "--replication", "0")
    with run_usher(folder, sandbox_options=options, start=start, more_env=trust) as usher:
        answer = usher.ask("usher.invite_guest", "contoso", "ann@fabrikam.example")
        assert answer["status"] == "invited"
        told = usher.ask("usher.invite_guests", "contoso", [{"email": f"g{n}@fabrikam.example"} for n in range(30)])
        assert usher.finished(told["job"])["invited"] == 30
        assert usher.run("jobs", "list").status == 0
        with (
            contextlib.closing(redis.Redis.from_url(f"unix://{folder}/v.sock")) as database,
            running((*CELERY, "beat", "-l", "INFO"), folder / "beat.log", usher.env, folder),
        ):
            wait_until(lambda: list(database.scan_iter("usher:redbeat*lock")), 20, "beat's lock in Redis")
        if how == "query":
            refused = usher.run("jobs", "list", USHER_REDIS_URL=usher.redis_url.partition("?")[0])
            assert refused.status == 2
            assert "Redis cannot be reached" in refused.err
            assert "certificate" in refused.err.lower()
        usher.client.close()
        usher.stop_worker()


def test_celery_is_told_to_check_certificates() -> None:
    """Celery refuses a URL that does not say so; one that says something is left as it is."""
    assert celery_url("rediss://h:6379/0") == "rediss://h:6379/0?ssl_cert_reqs=required"
    assert celery_url("rediss://h/0?ssl_ca_certs=a") == "rediss://h/0?ssl_ca_certs=a&ssl_cert_reqs=required"
    assert celery_url("rediss://h/0?ssl_cert_reqs=required") == "rediss://h/0?ssl_cert_reqs=required"


def test_a_url_that_switches_the_check_off_is_refused(folder: Path) -> None:
    """In a sentence, before anything is sent; the password in it is not repeated."""
    url = "rediss://:hunter2@localhost:1/0?ssl_cert_reqs=none"
    done = run_command(["jobs", "list"], plain_environment(USHER_REDIS_URL=url, HOME=str(folder)), folder)
    assert done.status == 2
    assert "must not switch off the check of the server's certificate" in done.err
    assert "hunter2" not in done.err
