"""Which workers and beats there are, of which version, with which configuration: each says so of itself, for `usher doctor`.

A digest stands for the whole configuration, secrets left out: two that differ read different files, or one has not noticed a change.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from config.version import read_version
from worker.keys import Keys

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from config import Settings

EVERY_S = 5.0
"""How often a program says that it is there."""
GONE_S = 60.0
"""One that has been silent for so long is not there any more."""


@dataclass(frozen=True, slots=True)
class Program:
    """A worker or a beat as it described itself."""

    kind: Literal["worker", "beat"]
    name: str
    version: str
    digest: str
    host: str
    pid: int
    file: str  # the configuration that it read
    seen_ms: int = 0


def describe_self(kind: Literal["worker", "beat"], name: str, settings: Settings) -> Program:
    """Return this process as it is now."""
    where = str(settings.source or "")
    return Program(kind, name, read_version(), settings.digest[:12], socket.gethostname(), os.getpid(), where)


def dump(program: Program, now_ms: int) -> bytes:
    """Return what is written into the ledger."""
    return orjson.dumps({**asdict(program), "seen_ms": now_ms})


async def say(client: Redis, keys: Keys, program: Program, now_ms: int) -> None:
    """Write a program down."""
    known: Any = client
    await known.hset(keys.programs(), program.name, dump(program, now_ms))


async def seen(client: Redis, keys: Keys) -> list[Program]:
    """Return the programs that are there; those that are gone leave the list."""
    known: Any = client
    seconds, _ = await known.time()
    found, gone = [], []
    for name, raw in (await known.hgetall(keys.programs())).items():
        program = Program(**orjson.loads(raw))
        if int(seconds) * 1000 - program.seen_ms > GONE_S * 1000:
            gone.append(name)
        else:
            found.append(program)
    if gone:
        await known.hdel(keys.programs(), *gone)
    return sorted(found, key=lambda program: (program.kind, program.name))
