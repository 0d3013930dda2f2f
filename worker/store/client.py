"""The one edge to Redis as a server opens clients, and asks whether it can keep a ledger."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import hiredis
import redis.exceptions
import tenacity
from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from worker.errors import LedgerUnavailable, LedgerUnsuitable
from worker.store.sentinel_url import read_sentinel_url

_NO_WRITES = (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError)
OUTAGE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError, *_NO_WRITES)
"""What redis-py raises when the server is away, or takes no writes for now; a task that meets one
goes on later.
"""

_T = TypeVar("_T")
_REPEATED = re.compile(r"\.? (?:Connect call failed|Multiple exceptions).*| : <.*")

REFUSE_AT = 0.90
"""Share of the server's memory beyond which no job is taken in: those that are there still have to
write their outcomes.
"""
STOP_AT = 0.95
"""Share beyond which nothing more is offered for sending."""

_MINIMUM = {"redis": (7, 0), "valkey": (7, 2)}
"""LMPOP, functions, EXPIRETIME, multi-part AOF. https://valkey.io/topics/releases/"""


class _Guarded(Redis):
    """A client behind Sentinel. redis-py leaves the connections to the Sentinels open when it is
    closed.
    """

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class _Packed:
    """A connection writes its commands by hiredis, as redis-py's own do where nobody waits for
    several: in Python that takes longer than all else that is done with a command.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        """Return a command as the server reads it. Its name may have several words."""
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        try:
            return [hiredis.pack_command((*name.split(), *args[1:]))]
        except TypeError as error:
            raise redis.exceptions.DataError(str(error)) from error


def _pack_quickly(client: Redis) -> Redis:
    pool = client.connection_pool
    pool.connection_class = type("PackedConnection", (_Packed, pool.connection_class), {})
    return client


MOST_CONNECTIONS = 1_000
"""Of one process, where the library's own limit is 100: every seat may ask at the same time, and
beyond the limit a call fails as if Redis were away.
"""


def open_client(url: str, *, timeout_s: float = 15.0, tries: int = 3) -> Redis:
    """Return a client for any of our URLs; it connects at its first command.

    `redis://`, `rediss://`, `unix:///sock?db=0`, `redis+socket:///sock?virtual_host=0`,
    `sentinel://host:26379[,host…]/master/0`, `sentinels://` with TLS.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": 5.0,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "max_connections": MOST_CONNECTIONS,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), tries),
    }
    guarded = read_sentinel_url(url)
    if guarded is not None:
        # Each is asked once: there are others, and redis-py's ten tries would hold a failover up
        # for a minute where the first of them is gone with its host
        once = {"retry": Retry(NoBackoff(), 0)}
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            guarded.hosts, sentinel_kwargs=guarded.sentinel_options | once
        )
        way = {**guarded.login, **guarded.server_options}
        found: Redis = sentinel.master_for(guarded.master, redis_class=_Guarded, db=guarded.database, **way, **options)
        return _pack_quickly(found)
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        number = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        url = f"unix://{parts.path}?db={number}"
        parts = urlsplit(url)
    if parts.scheme == "unix":
        options.pop("socket_keepalive")
    return _pack_quickly(Redis.from_url(url, **options))


@dataclass(frozen=True, slots=True)
class Server:
    """What INFO says of a server."""

    kind: str  # "redis" or "valkey"
    version: str
    policy: str
    persistent: bool
    used: int  # bytes
    most: int  # bytes; 0: no limit set


def read_server(info: Mapping[str, Any]) -> Server:
    """Read INFO's answer. Valkey says redis 7.2.4 for old clients, and beside it its own."""
    valkey = info.get("valkey_version")
    return Server(
        "valkey" if valkey else "redis",
        str(valkey or info.get("redis_version", "0")),
        str(info.get("maxmemory_policy", "noeviction")),
        str(info.get("aof_enabled", "1")) == "1",
        int(info.get("used_memory", 0)),
        int(info.get("maxmemory", 0)),
    )


def faults_of(server: Server, info: Mapping[str, Any]) -> list[str]:
    """Return, a sentence each, why this server cannot keep a ledger. Pure."""
    faults = []
    if str(info.get("redis_mode", "")) == "cluster" or str(info.get("cluster_enabled", "0")) == "1":
        faults.append(
            "This Redis runs in cluster mode, which Celery cannot use as a broker; name one without cluster mode."
        )
    least = _MINIMUM[server.kind]
    if _version(server.version) < least:
        faults.append(
            f"This server is {server.kind.capitalize()} {server.version}; usher needs Redis 7.0 or Valkey 7.2, or"
            " newer."
        )
    if server.policy != "noeviction":
        faults.append(
            f"This Redis may throw away what usher writes (maxmemory-policy {server.policy}); set it to noeviction."
        )
    return faults


_SHARDED = (
    "This Redis spreads its keys over shards behind one address, and neither usher's scripts nor Celery can work on"
    " several keys there; name one without shards (docs/operations.md has a table of managed services)."
)
_TELLS_NOTHING = (
    "This Redis lets no script ask which server it is (INFO), by which usher notices a failover or a restored backup;"
    " name another (docs/operations.md has a table of managed services)."
)
_TRY = "redis.call('INFO', 'server') return 1"
_TWO_SLOTS = ("{a}", "{b}")
"""Slots 15495 and 3300: in any even split of the 16,384 they lie on two shards.
https://valkey.io/topics/cluster-spec/
"""


async def find_script_fault(client: Any, prefix: str) -> str | None:
    """Return, a sentence, why the server does not run our scripts. Some managed ones shard, or
    forbid INFO there, and do not say so.
    """
    try:
        await ask(client.eval, _TRY, 2, *(f"{prefix}:{slot}" for slot in _TWO_SLOTS))
    except LedgerUnsuitable as error:
        match error.__cause__:
            case redis.exceptions.NoPermissionError():
                return None  # a user that may only look
            case redis.exceptions.ClusterCrossSlotError() | redis.exceptions.MovedError():
                return _SHARDED
            case redis.exceptions.ResponseError() as cause if "script" in str(cause) and "busy" not in str(cause):
                return _TELLS_NOTHING
        raise
    return None


async def check_server(
    client: Redis, *, prefix: str = "usher", within_s: float | None = None
) -> tuple[Server, list[str]]:
    """Ask the server about itself. Returns it with warnings; raises `LedgerUnsuitable` or
    `LedgerUnavailable`.

    `within_s`: for somebody who waits. Without it one that takes connections and is silent is given
    up after minutes only: each of the client's tries waits for its whole timeout.
    """
    try:
        async with asyncio.timeout(within_s):
            info = await ask(client.info)
    except TimeoutError:
        raise LedgerUnavailable(
            f"Redis takes connections and has not answered for {within_s:g} s; nothing was sent. Whoever runs it sees"
            " whether it is frozen, loading or overloaded."
        ) from None
    server = read_server(info)
    faults = faults_of(server, info)
    if not faults and (fault := await find_script_fault(client, prefix)):
        faults = [fault]
    if faults:
        raise LedgerUnsuitable(" ".join(faults) + " Nothing was read or sent.")
    warnings = []
    if not server.persistent:
        warnings.append("This Redis keeps no append-only file: a restart of it loses jobs; set appendonly yes.")
    return server, warnings


async def read_time_ms(client: Any) -> int:
    """Return Redis's time, by which all times of the ledger are told: ms since 1970."""
    seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def ask(command: Any, *args: Any) -> Any:
    """Call one command, its outage translated: raises `LedgerUnavailable`, `LedgerUnsuitable` when
    it refuses us.
    """
    try:
        return await command(*args)
    except redis.exceptions.AuthenticationError as error:
        raise LedgerUnsuitable(
            "Redis refused the user name or password in its URL; nothing was sent. Whoever runs this usher corrects the"
            " URL."
        ) from error
    except _NO_WRITES as error:
        raise LedgerUnavailable(f"Redis takes no writes ({describe(error)}); nothing was sent.") from error
    except OUTAGE as error:
        raise LedgerUnavailable(
            f"Redis cannot be reached ({describe(error)}); nothing was sent. Whoever runs usher sees that it is up, and"
            " that [redis].url or USHER_REDIS_URL names it."
        ) from error
    except redis.exceptions.ResponseError as error:
        raise LedgerUnsuitable(f"Redis answers, but not to usher ({error}); nothing was sent.") from error


@dataclass(frozen=True, slots=True)
class Memory:
    """How full a server is, in bytes."""

    used: int
    most: int  # 0: no limit is set

    def is_beyond(self, share: float, more: int = 0) -> bool:
        """Whether more than a share of the limit would be taken with `more` bytes on top."""
        return self.most > 0 and self.used + more > share * self.most


async def read_memory(client: Redis) -> Memory:
    """Ask the server how full it is. redis-py's errors pass."""
    info: Mapping[str, Any] = await client.info("memory")
    return Memory(int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)))


async def keep_trying(call: Callable[[], Awaitable[_T]], for_s: float) -> _T:
    """Call until it goes through, even while Redis is away; raise the outage after `for_s`."""
    try:
        return await call()  # nearly always enough; what comes below costs more than the call itself
    except OUTAGE:
        if for_s <= 0:
            raise
    trying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(OUTAGE),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
        stop=tenacity.stop_after_delay(for_s),
        reraise=True,
    )

    async def once() -> _T:  # a lambda that returns a coroutine is not recognised as asynchronous
        return await call()

    return await trying(once)


def describe(error: BaseException) -> str:
    """Return an outage in a few words without any URL's password in it (redis-py's texts name host
    and port only).
    """
    if not str(error):
        return type(error).__name__
    # What comes after is the same once more, or (of Sentinel) the library's objects as Python shows
    # them.
    text = _REPEATED.sub("", str(error).splitlines()[0])
    return text.rstrip(". ")[:160]


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
