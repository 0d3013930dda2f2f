from __future__ import annotations

from typing import Any

import pytest
import redis.exceptions
from redis.asyncio import Redis, SSLConnection
from redis.asyncio.connection import AbstractConnection

from worker.errors import LedgerUnavailable, LedgerUnsuitable
from worker.ledger.model import RowState
from worker.queues import THREADS
from worker.store.client import ask, check_server, describe, faults_of, keep_trying, open_client, read_server

GOOD = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": "1", "redis_mode": "standalone"}


def _faults(**more: str) -> list[str]:
    info = GOOD | more
    return faults_of(read_server(info), info)


@pytest.mark.parametrize(
    ("info", "word"),
    [
        ({"redis_version": "6.2.14"}, "Redis 6.2.14"),
        ({"valkey_version": "7.1.9"}, "Valkey 7.1.9"),
        ({"maxmemory_policy": "allkeys-lru"}, "allkeys-lru"),
        ({"redis_mode": "cluster"}, "cluster mode"),
        ({"cluster_enabled": "1"}, "cluster mode"),
    ],
)
def test_a_server_that_cannot_keep_a_ledger_is_named_with_its_fault(info: dict[str, str], word: str) -> None:
    """One sentence a fault."""
    (fault,) = _faults(**info)
    assert word in fault
    assert fault.endswith(".")


@pytest.mark.parametrize(
    "info", [{}, {"redis_version": "8.4.0"}, {"redis_version": "7.2.4", "valkey_version": "9.0.0"}]
)
def test_a_good_server_has_no_fault(info: dict[str, str]) -> None:
    """A Valkey is judged by its own version, not by the one it tells old clients."""
    assert _faults(**info) == []


def test_all_faults_are_told_at_once() -> None:
    """Nobody has to come back three times."""
    assert len(_faults(redis_version="5.0", maxmemory_policy="volatile-ttl", redis_mode="cluster")) == 3


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (
            "redis://user:p%40ss@host:6390/2",
            {"host": "host", "port": 6390, "db": 2, "username": "user", "password": "p@ss"},
        ),
        ("rediss://host", {"host": "host"}),
        ("unix:///tmp/a.sock?db=3", {"path": "/tmp/a.sock", "db": 3}),
        ("redis+socket:///tmp/a.sock?virtual_host=4", {"path": "/tmp/a.sock", "db": 4}),
    ],
)
async def test_urls_open_what_they_name(url: str, options: dict[str, Any]) -> None:
    """Each of our forms, without connecting."""
    client = open_client(url)
    given = client.connection_pool.connection_kwargs
    assert {name: given.get(name) for name in options} == options
    assert given["socket_timeout"] == 15.0
    await client.aclose()


async def test_a_sentinels_master_is_asked_for_by_name() -> None:
    """`sentinel://name:password@host[,host]/master/db`."""
    client = open_client("sentinel://me:secret@one:26380,two/mymaster/5")
    pool: Any = client.connection_pool
    assert pool.service_name == "mymaster"
    assert pool.connection_kwargs["db"] == 5
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("me", "secret")
    hosts = [s.connection_pool.connection_kwargs for s in pool.sentinel_manager.sentinels]
    assert [(h["host"], h["port"]) for h in hosts] == [("one", 26380), ("two", 26379)]
    await client.aclose()


async def test_sentinels_have_a_login_of_their_own() -> None:
    """`?sentinel_password=…` is theirs alone, as the URL's login is the servers'."""
    client = open_client("sentinel://:servers@one/mymaster?sentinel_username=us&sentinel_password=p%40s+s")
    pool: Any = client.connection_pool
    (theirs,) = [s.connection_pool.connection_kwargs for s in pool.sentinel_manager.sentinels]
    assert (theirs["username"], theirs["password"]) == ("us", "p@s+s")
    assert (pool.connection_kwargs.get("username"), pool.connection_kwargs["password"]) == (None, "servers")
    await client.aclose()


async def test_with_tls_sentinels_and_servers_are_reached_by_it() -> None:
    """`sentinels://`: certificates are checked on both ways, by the authority that the URL
    names.
    """
    client = open_client("sentinels://one,two/mymaster?ssl_ca_certs=%2Fetc%2Fca.pem")
    pool: Any = client.connection_pool
    assert issubclass(pool.connection_class, SSLConnection)
    ways = [pool, *(sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels)]
    assert len(ways) == 3
    for way in ways:
        given = way.connection_kwargs
        assert issubclass(way.connection_class, SSLConnection)
        assert (given["ssl_cert_reqs"], given["ssl_ca_certs"]) == ("required", "/etc/ca.pem")
    await client.aclose()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("Error 111 connecting to h:1. Connect call failed ('h', 1).", "Error 111 connecting to h:1"),
        (
            "Error -2 connecting to h:1. Name or service not known.",
            "Error -2 connecting to h:1. Name or service not known",
        ),
        ("No master found for 'm' : <redis.asyncio.client.Redis(<pool>)> - timeout", "No master found for 'm'"),
        ("", "ConnectionError"),
    ],
)
def test_an_outage_is_told_in_few_words(raised: str, told: str) -> None:
    """Nothing twice, and no object of the library's."""
    assert describe(redis.exceptions.ConnectionError(raised)) == told


@pytest.mark.parametrize(
    ("raised", "translated"),
    [
        (redis.exceptions.ConnectionError("Error 111 connecting to h:1."), LedgerUnavailable),
        (redis.exceptions.TimeoutError("Timeout"), LedgerUnavailable),
        (redis.exceptions.AuthenticationError("WRONGPASS"), LedgerUnsuitable),
        (redis.exceptions.NoPermissionError("NOPERM"), LedgerUnsuitable),
        (redis.exceptions.OutOfMemoryError("command not allowed"), LedgerUnavailable),
        (redis.exceptions.ReadOnlyError("You can't write"), LedgerUnavailable),
        (ConnectionResetError(104, "reset"), LedgerUnavailable),
    ],
)
async def test_every_outage_is_translated(raised: Exception, translated: type[Exception]) -> None:
    """Into one sentence of ours, that says that nothing was sent."""

    async def command() -> None:
        raise raised

    with pytest.raises(translated) as caught:
        await ask(command)
    assert "nothing was sent" in str(caught.value)


async def test_a_real_server_is_told_that_it_forgets(valkey_url: str) -> None:
    """The tests' own keeps no append-only file: suitable, with a warning."""
    client: Redis = open_client(valkey_url)
    server, warnings = await check_server(client)
    assert server.kind == "valkey"
    assert [w for w in warnings if "append-only" in w]
    await client.aclose()


async def test_trying_goes_on_through_an_outage_and_not_through_a_bug() -> None:
    """What is known here and nowhere else is carried about until it can be written."""
    calls = 0

    async def call() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise redis.exceptions.OutOfMemoryError("full") if calls == 1 else redis.exceptions.ConnectionError("gone")
        return "written"

    assert await keep_trying(call, 10) == "written"

    async def bug() -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await keep_trying(bug, 10)
    with pytest.raises(redis.exceptions.ConnectionError):
        await keep_trying(_gone, 0.2)


async def _gone() -> None:
    raise redis.exceptions.ConnectionError("gone")


def test_an_outage_is_described_in_one_line() -> None:
    """Short, and never empty."""
    assert describe(OSError("first\nsecond")) == "first"
    assert describe(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("url", ["redis://localhost", "unix:///tmp/none.sock", "sentinel://localhost:26379/mymaster/0"])
def test_every_seat_may_ask_at_the_same_time(url: str) -> None:
    """Beyond the library's own 100 connections a call fails as if Redis were away."""
    assert open_client(url).connection_pool.max_connections >= 2 * THREADS


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://h:1/0", "unix:///s?db=0", "sentinel://h:1/m/0"])
def test_commands_are_written_as_redis_py_writes_them(url: str) -> None:
    """On every way to a server; what is no text and no number is refused with redis-py's error."""
    pool: Any = open_client(url).connection_pool
    connection, plainly = pool.make_connection(), AbstractConnection.pack_command
    commands = (("EVALSHA", "é", 2, b"\0\xff", 1.5, -3, "", RowState.DONE), ("CONFIG GET", "x" * 9000), (b"CLIENT ID",))
    for command in commands:
        in_python = plainly(connection, *command)
        assert b"".join(connection.pack_command(*command)) == b"".join(in_python)
        assert b"".join(connection.pack_commands([command] * 3)) == b"".join(in_python) * 3
    assert len(connection.pack_command("ECHO", "x" * 9000)) == 1  # Python cuts it, and is not asked
    with pytest.raises(redis.exceptions.DataError):
        connection.pack_command("SET", None)
