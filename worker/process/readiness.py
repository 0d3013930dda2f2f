"""`usher up` finds out when its worker consumes and Flower's port answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from worker.ledger.keys import Keys
from worker.ledger.programs.running_programs import parse_program
from worker.store.client import OUTAGE, open_client

_POLL_S = 0.1


async def wait_for_worker(redis_url: str, prefix: str, find_pid: Callable[[], int | None]) -> None:
    """Return once the worker with that process id consumes. The caller bounds it."""
    client = open_client(redis_url)
    known: Any = client
    try:
        while True:
            with suppress(*OUTAGE):
                programs = [parse_program(raw) for raw in await known.hvals(Keys(prefix).programs())]
                if any(program.kind == "worker" and program.pid == find_pid() for program in programs):
                    return
            await asyncio.sleep(_POLL_S)
    finally:
        await client.aclose()


async def wait_for_port(address: str, port: int) -> None:
    """Return once somebody listens there. Has no end of its own: the caller bounds it."""
    while True:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            await asyncio.sleep(_POLL_S)
        else:
            writer.close()
            return
