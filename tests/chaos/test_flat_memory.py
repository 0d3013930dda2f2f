"""A worker's memory does not grow with a job: counted while real workers send a long list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sites import QUOTA, Site
from worker.ledger.model import Counts

ROOMY = "[quota]\n" + "".join(
    f'{name} = "10000000/1s"\n'
    for name in (
        *("invitations_per_tenant", "writes_per_app_and_tenant", "writes_per_tenant", "writes_per_app"),
        *("units_per_app_and_tenant", "units_per_app"),
    )
)


ROLLUP = Path("/proc/self/smaps_rollup")


def memory_kib(process: subprocess.Popen[bytes]) -> int:
    """What is the process's own of main memory, in KiB."""
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not say")


@pytest.mark.skipif(not ROLLUP.exists(), reason="it is Linux that counts a process's memory")
@pytest.mark.parametrize(
    ("first", "rows"),
    [(11_000, 21_000), pytest.param(40_000, 200_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
async def test_memory_is_flat_in_the_size_of_the_job(site: Site, first: int, rows: int) -> None:
    """Once the journal of the last ten seconds is full, it grows by far less than what these rows
    would take if they were kept.
    """
    site.sandbox.ask("latency", {"latency": "0.04"})  # so that the journal is full before half of the rows are sent
    file = site.folder / "usher.toml"
    file.write_text(file.read_text().replace(QUOTA, ROOMY))
    worker = site.start_worker(16)
    job = await site.desk.load(rows)
    warm = (await site.some(job, first, 60)).counts.finished
    before = memory_kib(worker)
    view = await site.ended(job, rows / 50)
    assert view.counts == Counts(rows=rows, done=rows)
    grown = memory_kib(worker) - before
    assert grown * 1024 < 200 * (rows - warm), f"{grown} KiB more for {rows - warm} rows"
