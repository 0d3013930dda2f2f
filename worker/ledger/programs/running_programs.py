"""Each worker and beat says of itself which version it is and which configuration it has, for
`usher doctor`.

A digest stands for the whole configuration, secrets left out: two that differ read different files,
or one has not noticed a change.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import orjson
from redis.exceptions import NoPermissionError

from config.version import read_version
from worker.ledger.keys import Keys

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from config.settings import Settings
    from worker.ledger.jobs import Jobs

EVERY_S = 5.0
"""How often a program says that it is there."""
GONE_S = 15.0
"""A beat that has been silent for so long is not there any more."""
_FORGOTTEN_S = 60.0  # a worker that was away for a moment need not describe itself anew to be known


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
    problem: str = ""  # why that file, as it is now, is not believed; '' while all is well

    @property
    def shown(self) -> str:
        """The program's name, and where it is."""
        return f"{self.name} (process {self.pid} on {self.host})"


def describe_self(kind: Literal["worker", "beat"], name: str, settings: Settings, problem: str = "") -> Program:
    """Return this process as it is now."""
    where = str(settings.source or "")
    host, pid = socket.gethostname(), os.getpid()
    return Program(kind, name, read_version(), settings.digest[:12], host, pid, where, problem=problem)


def dump(program: Program, now_ms: int) -> bytes:
    """Return what is written into the ledger; without a problem where there is none, which older
    usher can read.
    """
    told = {**asdict(program), "seen_ms": now_ms}
    return orjson.dumps(told if program.problem else {key: told[key] for key in told if key != "problem"})


def parse_program(raw: bytes) -> Program:
    """Read what a program wrote; what only a newer usher says is left out."""
    known = {field.name for field in fields(Program)}
    return Program(**{key: value for key, value in orjson.loads(raw).items() if key in known})


async def say(client: Redis, keys: Keys, program: Program, now_ms: int) -> None:
    """Write a program down."""
    known: Any = client
    await known.hset(keys.programs(), program.name, dump(program, now_ms))


async def seen(jobs: Jobs) -> list[Program]:
    """Return the programs that are there; those that are gone leave the list.

    A worker is there while it asks the ledger for work, which `usher invite` goes by; a beat while
    it says so.
    """
    seconds, _ = await jobs.client.time()
    workers = await jobs.workers()
    found, forgotten = [], []
    for name, raw in (await jobs.client.hgetall(jobs.keys.programs())).items():
        program = parse_program(raw)
        silent_s = int(seconds) - program.seen_ms / 1000
        if program.name in workers if program.kind == "worker" else silent_s <= GONE_S:
            found.append(program)
        elif silent_s > _FORGOTTEN_S:
            forgotten.append(name)
    if forgotten:
        with suppress(NoPermissionError):  # a user that may only read
            await jobs.client.hdel(jobs.keys.programs(), *forgotten)
    return sorted(found, key=lambda program: (program.kind, program.name))
