"""A worker's parts in a test's own process, on a Redis whose clock the test moves.

Redis's clock cannot be set, and production code has no other. So the scripts are loaded with a
different `now_ms` here, which adds what a key says; and what Redis would have expired by then is
deleted.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from config.reader import load_settings
from tests.sites import Site
from worker.clocks import Clocks
from worker.directory.lookups import LookUps
from worker.ledger import scripts
from worker.ledger.model import Lane
from worker.sending.leases import Leases
from worker.sending.reactions import Reactions
from worker.sending.runner import ChunkRunner
from worker.sending.settler import Settler
from worker.services import Services, open_services
from worker.store.client import read_time_ms

DAY_MS = 86_400_000
_LATE_S = 0.4
_REAL = "  return t[1] * 1000 + math.floor(t[2] / 1000)\n"


def counting_clock(key: str) -> Callable[[str], str]:
    """Return what gives a script a clock that moves by 10 ms with each call, however long a call
    takes: the same calls, the same times.
    """
    counted = f"  return 1800000000000 + redis.call('INCRBY', '{key}', 10)\n"

    def change(source: str) -> str:
        assert _REAL in source or "'TIME'" not in source, "the scripts read the clock in another way now"
        return source.replace(_REAL, counted)

    return change


@dataclass
class Clocked:
    """A worker's parts, and a clock."""

    site: Site
    services: Services
    leases: Leases
    runner: ChunkRunner
    settler: Settler
    clock_key: str
    passed_s: float = 0.0

    async def let_pass(self, ms: int) -> None:
        """Let so much time go by: on Redis's clock, and on the one that nobody sets."""
        self.passed_s += ms / 1000
        await self.move(ms)

    async def move(self, ms: int) -> None:
        """Put the clock forward or back."""
        client: Any = self.services.client
        ahead = int(await client.incrby(self.clock_key, ms))
        clocks = self.services.clocks
        asked_s = clocks.now()
        now = await read_time_ms(client) + ahead
        while clocks.now() - asked_s > _LATE_S:  # a clock is not set by what came late
            asked_s = clocks.now()
            now = await read_time_ms(client) + ahead
        clocks.learn_redis(now)
        async for key in client.scan_iter(match=f"{self.services.keys.prefix}:index:*"):
            if 0 < await client.pexpiretime(key) <= now:
                await client.delete(key)

    async def tick(self) -> int:
        """Tick once and run what is offered, one after the other. Returns how much that was."""
        offers = (await self.services.ledger.offers.tick("w1", 8)).offers
        for ticket, _ in offers:
            await (self.settler if ticket.lane is Lane.DOUBT else self.runner).run(ticket)
        return len(offers)


@asynccontextmanager
async def open_clocked(site: Site, patch: pytest.MonkeyPatch) -> AsyncIterator[Clocked]:
    """Open a worker's parts on a clock of their own."""
    clock_key = f"{site.desk.keys.prefix}:clock"
    original: Callable[[str], str] = scripts.source_of.__wrapped__
    assert _REAL in original("tick"), "the scripts read the clock in another way now"
    moved = _REAL.replace("\n", f" + tonumber(redis.call('GET', '{clock_key}') or 0)\n")
    patch.setattr(scripts, "source_of", lambda name: original(name).replace(_REAL, moved))
    settings = load_settings({"USHER_CONFIG": str(site.folder / "usher.toml")})
    async with open_services(lambda: settings, site.url) as services:
        leases, reactions = Leases(services.ledger), Reactions(services)
        look_ups = LookUps(services, reactions)
        runner = ChunkRunner(services, leases, reactions, look_ups, lambda: False)
        clocked = Clocked(site, services, leases, runner, Settler(services, leases, look_ups), clock_key)
        services.clocks = Clocks(lambda: time.monotonic() + clocked.passed_s)
        await clocked.move(0)  # a dispatcher, too, has asked for the time before its first offer
        yield clocked
        await leases.close()
