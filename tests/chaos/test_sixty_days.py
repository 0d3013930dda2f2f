"""The same list every day for two months: everybody gets one mail, unless they were deleted from
the tenant, or the memory of them has ended.
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.forecast.rows import Foresight
from tests.clocked import DAY_MS, Clocked
from tests.sites import WITH_AND_WITHOUT_PRECHECK
from worker.ledger.model import Counts, Options
from worker.operations.foreseen import Would
from worker.operations.operation import Channel
from worker.operations.registry import find_operation
from worker.operations.tenant_rules import TenantRules

pytestmark = pytest.mark.sandbox(latency="0", replication="0")
"""A day takes milliseconds here: the directory must not lag in real ones."""

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


async def foreseen(clocked: Clocked, patch: pytest.MonkeyPatch) -> int:
    """Return how many a dry run says would be invited."""

    async def redis_ms(_: object) -> int:
        return clocked.services.clocks.redis_ms()

    patch.setattr("tasks.forecast.rows.read_time_ms", redis_ms)
    services, job = clocked.services, await clocked.site.load(PEOPLE)
    await services.jobs.pause(job, "only looked at")
    channel = Channel(services.connection("contoso"), find_operation("invite"))
    foresight = Foresight(services, channel, TenantRules(), Options())
    verdicts = [row.foreseen.would async for row in foresight.rows(job)]
    await services.jobs.delete(job)
    return verdicts.count(Would.DO)


@WITH_AND_WITHOUT_PRECHECK
async def test_the_same_list_every_night(clocked: Clocked) -> None:
    """Sixty nights, through both generations of the index: one mail each, and every later row is
    skipped.
    """
    assert await submit(clocked) == Counts(rows=ROWS, done=ROWS)
    for _ in range(59):
        await clocked.let_pass(DAY_MS)
        assert await submit(clocked) == Counts(rows=ROWS, skipped=ROWS)
    clocked.site.assert_all_mailed_once(ROWS)


@pytest.mark.sandbox(precheck="false")
async def test_where_nobody_looks_the_memory_ends_after_its_days(clocked: Clocked) -> None:
    """Asked for meanwhile or not: known after 59 days, mailed again after 61. Nothing older is
    kept.
    """
    assert await submit(clocked) == Counts(rows=ROWS, done=ROWS)
    for days in (29, 30):
        await clocked.let_pass(days * DAY_MS)
        assert await submit(clocked) == Counts(rows=ROWS, skipped=ROWS)
    await clocked.let_pass(2 * DAY_MS)
    assert await submit(clocked) == Counts(rows=ROWS, done=ROWS)
    await clocked.let_pass(100 * DAY_MS)
    client: Any = clocked.services.client
    start = f"{clocked.services.keys.prefix}:index:"
    assert [key async for key in client.scan_iter(match=f"{start}[0-9a-f]*:[0-9]*")] == []


async def test_a_guest_deleted_from_the_tenant_is_invited_again(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next night, where the directory can be read: it has the word, not the memory. Everybody
    else is skipped.
    """
    assert await submit(clocked) == Counts(rows=ROWS, done=ROWS)
    clocked.site.sandbox.ask("users", {"action": "delete", "email": PEOPLE[7]})
    for invited in (1, 0, 0):
        await clocked.let_pass(DAY_MS)
        assert await foreseen(clocked, monkeypatch) == invited
        assert await submit(clocked) == Counts(rows=ROWS, done=invited, skipped=ROWS - invited)
    mails = clocked.site.sandbox.ask("stats")["mails"]
    assert (mails["total"], mails["more_than_once"]) == (ROWS + 1, 1)


@pytest.mark.sandbox(replication="20")
async def test_a_clock_put_forward_does_not_make_the_memory_older(clocked: Clocked) -> None:
    """Redis's clock is a day ahead all at once: those who were just invited are still too new to be
    missed in the directory.
    """
    await clocked.move(0)
    assert await submit(clocked) == Counts(rows=ROWS, done=ROWS)
    await clocked.move(DAY_MS)
    assert await submit(clocked) == Counts(rows=ROWS, skipped=ROWS)


@pytest.mark.sandbox(replication="20")
async def test_a_directory_that_lags_does_not_overrule_the_memory(clocked: Clocked) -> None:
    """Submitted again at once, while the directory shows none of those who were just invited:
    nobody is mailed again.
    """
    assert await submit(clocked) == Counts(rows=ROWS, done=ROWS)
    assert await submit(clocked) == Counts(rows=ROWS, skipped=ROWS)
    clocked.site.assert_all_mailed_once(ROWS)
