"""The same list every day for two months: everybody gets one mail, and whoever is not on it for a month is a stranger."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clocked import DAY_MS, Clocked, open_clocked
from tests.sandboxes import Sandbox
from worker.model import Counts

ROWS = 45
PEOPLE = [f"person-{number}@partner.example" for number in range(ROWS)]


async def submit(clocked: Clocked) -> Counts:
    """Submit the list, run its job to the end, return its counts."""
    job = await clocked.site.load(PEOPLE)
    for _ in range(20):
        await clocked.tick()
        view = await clocked.site.view(job)
        if view.ended:
            await clocked.services.jobs.delete(job)  # it keeps the index
            return view.counts
    raise AssertionError("the job does not end")


@pytest.mark.parametrize("precheck", ["false", "true"], ids=["no precheck", "precheck"])
async def test_the_same_list_every_night(
    valkey_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, precheck: str
) -> None:
    """Sixty nights, through both generations of the index: one mail each, and every later row is skipped."""
    async with open_clocked(valkey_url, sandbox, monkeypatch, precheck=precheck) as clocked:
        assert await submit(clocked) == Counts(rows=ROWS, invited=ROWS)
        for _ in range(59):
            await clocked.move(DAY_MS)
            assert await submit(clocked) == Counts(rows=ROWS, skipped=ROWS)
        clocked.site.assert_all_mailed_once(ROWS)


async def test_whoever_is_not_asked_for_is_forgotten(
    valkey_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks for 29 days: known; for 31: mailed again, where the directory is not asked. Nothing older is kept."""
    async with open_clocked(valkey_url, sandbox, monkeypatch, precheck="false") as clocked:
        assert await submit(clocked) == Counts(rows=ROWS, invited=ROWS)
        await clocked.move(29 * DAY_MS)
        assert await submit(clocked) == Counts(rows=ROWS, skipped=ROWS)
        await clocked.move(31 * DAY_MS)
        assert await submit(clocked) == Counts(rows=ROWS, invited=ROWS)
        await clocked.move(100 * DAY_MS)
        client: Any = clocked.services.client
        start = f"{clocked.services.keys.prefix}:index:"
        assert [key async for key in client.scan_iter(match=f"{start}[0-9a-f]*:[0-9]*")] == []
