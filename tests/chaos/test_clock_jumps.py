"""Redis's clock is put forward and back while rows are on the wire: nothing freezes, nobody is
mailed twice, nobody is misreported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from tests.clocked import Clocked
from tests.sites import Site
from worker.ledger.model import Counts
from worker.process.epochs import Epochs

pytestmark = pytest.mark.sandbox(latency="0.05")

S, HOUR, DAY = 1000, 3_600_000, 86_400_000
IDLE = 100  # looks that find nothing to do, at least two seconds
BACK_FIRST = (-HOUR, DAY, -HOUR, 20 * S, -3 * S, HOUR, -DAY)
FORWARD_FIRST = (DAY, -HOUR, DAY, -3 * S, HOUR, -20 * S, DAY)


async def run(clocked: Clocked, rows: int, jumps: Sequence[int]) -> None:
    """Run jobs, the clock being put with a batch on the wire each time. Where nothing happens a
    minute is let pass: no wait may be longer.

    One job is mostly enough; where it is over before the last jump (a busy machine sees few of its
    batches on the wire) there is another.
    """
    site, services = clocked.site, clocked.services
    epochs = Epochs(services.ledger)
    epochs.start()
    jobs = [await site.desk.load(rows)]
    left, idle, minutes = list(jumps), 0, 0

    async def until(letter: str, there: bool) -> None:
        await site.until(f"rows that stand {letter}: {there}", lambda: _has(site, jobs[-1], letter, there), 60)

    async def jump() -> None:
        while left:
            await until("s", True)
            await clocked.move(left.pop(0))
            await until("s", False)
        site.sandbox.ask("faults", {"spec": "504-after@item@invite=1/1"})
        await until("d", True)
        site.sandbox.ask("faults", {"spec": ""})
        await clocked.move(-2 * DAY)  # whatever waits now would wait for days

    async def ended() -> bool:
        nonlocal idle, minutes
        await services.ledger.offers.heal()  # as every dispatcher does
        idle = 0 if await clocked.tick() else idle + 1
        if idle == IDLE:
            idle, minutes = 0, minutes + 1
            await clocked.move(61 * S)
        if not (await site.view(jobs[-1])).ended:
            return False
        if not jumping.done():
            jobs.append(await site.desk.load(rows))
        return jumping.done()

    jumping = asyncio.create_task(jump())
    await site.until("the end of the jobs", ended, 4 * len(jumps) + 60)
    await jumping
    await epochs.close()
    assert minutes <= 2 * (len(jumps) + 1), "each jump back may make a chunk wait, then rows in doubt"
    assert [(await site.view(job)).counts for job in jobs] == [Counts(rows=rows, done=rows)] * len(jobs)
    site.assert_all_mailed_once(rows * len(jobs))


async def _has(site: Site, job: str, letter: str, there: bool) -> bool:
    return (letter in await site.letters(job)) is there


@pytest.mark.parametrize("jumps", [BACK_FIRST, FORWARD_FIRST])
async def test_jumps_both_ways(clocked: Clocked, jumps: Sequence[int]) -> None:
    """By seconds, an hour and a day, with answers lost now and then."""
    clocked.site.sandbox.ask("faults", {"spec": "lost@batch=1/5"})
    await run(clocked, 300, jumps)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
async def test_many_jumps(clocked: Clocked, seed: int) -> None:
    """The same by chance."""
    chance = Random(seed)
    jumps = [chance.choice((1, -1)) * chance.choice((3 * S, 20 * S, HOUR, DAY)) for _ in range(15)]
    clocked.site.sandbox.ask("faults", {"spec": "lost@batch=1/9"})
    await run(clocked, 1000, jumps)
