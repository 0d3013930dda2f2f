"""A worker is killed in the middle of a round of a schedule over several connections."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.beats import Beats, schedule_table
from tests.servers import answer, make_certificate, run_raw_server
from tests.sites import Site, kill


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.sandbox(latency="0", replication="0")
async def test_each_run_of_a_killed_worker_is_taken_over_once(site: Site, tmp_path: Path) -> None:
    """Two tenants' runs die while they fetch their list: another worker does each of them, as the
    same run and the same job, and nobody is mailed twice.
    """
    beats = Beats(site)
    config = site.folder / "usher.toml"
    contoso = config.read_text().partition("[connections.contoso]")[2].partition("\n[")[0]
    config.write_text(config.read_text() + f"\n[connections.far]{contoso}\n")
    certificate = make_certificate(tmp_path, "localhost", "127.0.0.1")
    killed, asked = asyncio.Event(), 0

    async def behave(request: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await killed.wait()
        answer(writer, 200, b"email,connection\na@example.com,contoso\nb@example.com,far\n", {})

    async with run_raw_server(certificate, behave) as server:
        args = f'{{ url = "{server.url}/people.csv" }}'
        beats.write(schedule_table("list", "invite_file", every="9d", connection='"contoso,far"', args=args))
        env = {"SSL_CERT_FILE": str(certificate.certificate)}
        worker = site.start_worker(more_env=env)
        status, out, err = await asyncio.to_thread(site.run, "schedules", "run", "list", "--wait", "1s", "--json")
        assert (status, json.loads(out)["status"]) == (3, "waiting"), err

        async def both_ask() -> bool:
            return asked == 2

        await site.until("both runs fetching", both_ask)
        begun = {run.connection: run for run in await beats.timetable.runs("list", 50, ["contoso", "far"])}
        kill(worker)
        killed.set()
        site.start_worker(more_env=env)

        async def both_done() -> bool:
            return {one.status for one in (await beats.timetable.latest("list")).values()} == {"ok"}

        await site.until("both runs done", both_done, 240)
    runs = await beats.timetable.runs("list", 50, ["contoso", "far"])
    assert Counter(run.connection for run in runs) == {"contoso": 1, "far": 1}
    assert {run.due_ms for run in runs} == {run.due_ms for run in begun.values()}
    assert len(await site.desk.jobs.listed()) == 2
    for run in runs:
        await site.ended(run.jobs[0])
    site.assert_all_mailed_once(2)
