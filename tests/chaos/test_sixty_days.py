"""The same list every day for two months, the clock injected: everybody gets one mail, and whoever is not on it for a month is a stranger.

Redis's own clock cannot be set, and production code has no other. So the scripts are loaded with a different `now_ms` here, which reads a
key; and what Redis would have expired by then is deleted. A worker's parts run in this process, against the sandbox.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from config import load_settings
from tests.integration.producers_fixtures import Sandbox
from tests.sites import open_site
from worker import scripts
from worker.leases import Leases
from worker.lookups import LookUps
from worker.model import Counts, Lane
from worker.reactions import Reactions
from worker.runner import ChunkRunner
from worker.services import Services, open_services

DAY_MS = 86_400_000
ROWS = 45
OPEN_CLOCK = (
    "local function now_ms()\n  local t = redis.call('TIME')\n  return t[1] * 1000 + math.floor(t[2] / 1000)\nend\n"
)


@dataclass
class Years:
    """A worker's parts, and a clock that a test moves."""

    services: Services
    runner: ChunkRunner
    sandbox: Sandbox
    clock_key: str
    made: int = field(default=0)

    async def move(self, days: float) -> None:
        """Let so many days pass: what has expired by then is gone."""
        client: Any = self.services.client
        now = int(await client.incrby(self.clock_key, round(days * DAY_MS)))
        async for key in client.scan_iter(match=f"{self.services.keys.prefix}:index:*"):
            if 0 < await client.pexpiretime(key) <= now:
                await client.delete(key)

    async def submit(self) -> Counts:
        """Submit the list, run its job to the end, return its counts."""
        self.made += 1
        job, ledger = f"night{self.made}", self.services.ledger
        loading = await self.services.jobs.create(job, "contoso", Lane.BULK)
        assert loading is not None
        for number in range(ROWS):
            loading.put({"email": f"person-{number}@partner.example"})
        await self.services.jobs.start(loading)
        for _ in range(20):
            for ticket, _chunks in (await ledger.tick("w1", 8)).offers:
                await self.runner.run(ticket)
            view = await self.services.jobs.view(job)
            assert view is not None
            if view.ended:
                await self.services.jobs.delete(job)  # it keeps the index
                return view.counts
        raise AssertionError("the job does not end")


@asynccontextmanager
async def _open(url: str, sandbox: Sandbox, patch: pytest.MonkeyPatch, precheck: str) -> AsyncIterator[Years]:
    """Open everything on a clock of its own."""
    async with open_site(url, sandbox, latency="0", precheck=precheck) as site:
        clock_key = f"{site.desk.keys.prefix}:clock"
        original: Callable[[str], str] = scripts.source_of.__wrapped__
        injected = f"local function now_ms()\n  return tonumber(redis.call('GET', '{clock_key}'))\nend\n"
        assert OPEN_CLOCK in original("tick"), "the scripts read the clock in another way now"
        patch.setattr(scripts, "source_of", lambda name: original(name).replace(OPEN_CLOCK, injected))
        settings = load_settings({"USHER_CONFIG": str(site.folder / "usher.toml")})
        async with open_services(lambda: settings, url) as services:
            seconds, _ = await services.client.time()
            await services.client.set(clock_key, int(seconds) * 1000)
            leases, reactions = Leases(services.ledger), Reactions(services)
            look_ups = LookUps(services, reactions)
            runner = ChunkRunner(services, leases, reactions, look_ups, lambda: False)
            yield Years(services, runner, sandbox, clock_key)
            await leases.close()


@pytest.mark.parametrize("precheck", ["false", "true"], ids=["no precheck", "precheck"])
async def test_the_same_list_every_night(
    valkey_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, precheck: str
) -> None:
    """Sixty nights, through both generations of the index: one mail each, and every later row is skipped."""
    async with _open(valkey_url, sandbox, monkeypatch, precheck=precheck) as years:
        assert await years.submit() == Counts(rows=ROWS, invited=ROWS)
        for _ in range(59):
            await years.move(1)
            assert await years.submit() == Counts(rows=ROWS, skipped=ROWS)
        stats = sandbox.ask("stats")["mails"]
        assert (stats["total"], stats["more_than_once"]) == (ROWS, 0)


async def test_whoever_is_not_asked_for_is_forgotten(
    valkey_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks for 29 days: known; for 31: mailed again, where the directory is not asked. Nothing older is kept."""
    async with _open(valkey_url, sandbox, monkeypatch, precheck="false") as years:
        assert await years.submit() == Counts(rows=ROWS, invited=ROWS)
        await years.move(29)
        assert await years.submit() == Counts(rows=ROWS, skipped=ROWS)
        await years.move(31)
        assert await years.submit() == Counts(rows=ROWS, invited=ROWS)
        await years.move(100)
        client: Any = years.services.client
        start = f"{years.services.keys.prefix}:index:"
        assert [key async for key in client.scan_iter(match=f"{start}*")] == []
