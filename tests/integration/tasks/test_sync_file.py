"""The schedule `sync_file`: dry until it is confirmed, once for each run, and a list that cannot be
had changes nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings
from tasks.scheduled.firing import fire
from tests.beats import Beats, schedule_table
from tests.integration.guests.synced import ROLES, Synced, count_writes, guests
from tests.servers import answer, make_certificate, run_raw_server
from tests.sites import QUOTA, Site
from worker.ledger.timetable import ScheduledRun
from worker.services import open_services
from worker.store.client import read_time_ms

pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=ROLES, quota=QUOTA)


async def run_once(site: Site, beats: Beats, args: str, due_ms: int = 0, over: str = "") -> ScheduledRun:
    """Do one run of a schedule with these arguments; of one `over` several contoso's."""
    beats.write(schedule_table("crm", "sync_file", every="9d", connection=f'"{over or "contoso"}"', args=args))
    settings = load_settings(site.env)
    async with open_services(lambda: settings, site.url) as services:
        due_ms = due_ms or await read_time_ms(services.client)
        run = await fire(services, "crm", due_ms, "beat", "contoso" if over else "")
    assert run is not None
    return run


async def test_it_is_dry_until_confirmed_and_done_once(site: Site, beats: Beats) -> None:
    """The result says what would be done, then what is, without an address; the next night there is
    nothing to do.
    """
    case = Synced(rows=30, joiners=2, leavers=1, movers=4, others=2)
    case.make(site)
    case.write(site)
    run = await run_once(site, beats, '{ path = "crm.csv" }')
    assert (run.status, run.jobs) == ("attention", ())
    assert run.what == (
        "crm.csv: 2 to invite, 4 to change, 1 to disable; 24 guests as the list says. To leave groups: 1 guest,"
        " whom a list puts back, not usher guests undo. Nothing was done: the schedule does not say confirm = true."
    )
    assert sum(count_writes(site).values()) == 0
    site.start_worker()
    confirmed, due_ms = '{ path = "crm.csv", confirm = true }', await read_time_ms(site.desk.client)
    run = await run_once(site, beats, confirmed, due_ms)
    assert (run.status, len(run.jobs)) == ("ok", 1), run.what
    view = await site.ended(run.jobs[0])
    assert (view.operation, view.counts.done, view.info["schedule"], view.info["source"]) == ("sync", 2, "crm", "crm")
    case.assert_done(site)
    assert (await run_once(site, beats, confirmed, due_ms)).jobs == run.jobs  # fired twice
    before = count_writes(site)
    again = await run_once(site, beats, confirmed)
    assert (again.status, again.jobs) == ("ok", ())
    assert "Nothing to do" in again.what
    assert count_writes(site) == before
    case.write(site, range(10))
    half = await run_once(site, beats, confirmed)
    assert (half.status, half.jobs) == ("attention", ())
    assert "most_left (5%)" in half.what
    assert all(user["enabled"] for email, user in guests(site).items() if email.startswith("g"))


async def test_a_list_that_cannot_be_had_changes_nothing(site: Site, beats: Beats, tmp_path: Path) -> None:
    """A failed fetch, a page to sign in, a file that is gone or empty: a failed run."""
    case = Synced(rows=10, joiners=0, leavers=0, movers=0, others=0)
    case.make(site)
    certificate = make_certificate(tmp_path, "localhost", "127.0.0.1")
    bodies = {"/gone.csv": (404, b"no"), "/page.csv": (200, b"<html>sign in</html>"), "/empty.csv": (200, b"")}

    async def behave(request: Any, writer: asyncio.StreamWriter) -> None:
        answer(writer, *bodies[request.path], {})

    async with run_raw_server(certificate, behave) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(certificate.certificate))
            for path in bodies:
                run = await run_once(site, beats, f'{{ url = "{server.url}{path}", source = "crm", confirm = true }}')
                assert (run.status, run.jobs) == ("failed", ()), run.what
                assert run.what.endswith("Nothing was done."), run.what
    run = await run_once(site, beats, '{ path = "no.csv", source = "crm", confirm = true }')
    assert (run.status, "does not exist" in run.what) == ("failed", True)
    assert sum(count_writes(site).values()) == 0


async def test_in_a_list_for_several_connections_each_row_says_whose_guest_it_is(site: Site, beats: Beats) -> None:
    """Without the column nothing is done; a row that may be anybody's takes nobody away; others'
    rows are no concern of this tenant's, and who moved to another is no longer its guest.
    """
    case = Synced(rows=30, joiners=2, leavers=1, movers=0, others=0)
    case.make(site)
    case.write(site)
    config, listed = site.folder / "usher.toml", site.folder / "crm.csv"
    contoso = config.read_text().partition("[connections.contoso]")[2].partition("\n[")[0]
    config.write_text(config.read_text() + f"\n[connections.far]{contoso}\n")
    heading, *rows = listed.read_text().splitlines()
    args = '{ path = "crm.csv" }'

    def write(named: list[str]) -> None:
        lines = [f"{heading},connection", *(f"{row},{name}" for row, name in zip(rows, named, strict=True))]
        listed.write_text("\n".join(lines) + "\n")

    run = await run_once(site, beats, args, over="contoso,far")
    assert run.status == "failed"
    assert run.what == (
        "crm.csv does not say in a column `connection` whose guests its rows are, and it is for several connections:"
        " add the column, or give each connection a list of its own. Nothing was done."
    )
    write(["contoso"] * 29 + ["far"])
    run = await run_once(site, beats, args, over="contoso,far")
    assert run.what.startswith("crm.csv: 1 to invite, 1 to disable; 28 guests as the list says."), run.what
    write(["contoso"] * 28 + ["contosso", "far"])
    run = await run_once(site, beats, args, over="contoso,far")
    assert "1 row of the list cannot be read" in run.what
    assert "to disable" not in run.what.partition(";")[0]
    write(["far"] * 30)
    run = await run_once(site, beats, args, over="contoso,far")
    assert (run.status, run.what) == ("failed", "No row of crm.csv names contoso. Nothing was done.")
    assert sum(count_writes(site).values()) == 0
