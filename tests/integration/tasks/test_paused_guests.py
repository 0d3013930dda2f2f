"""The schedule `invite_file` says whom of its list a person has paused in another job."""

from __future__ import annotations

import json

import pytest

from config.reader import load_settings
from tasks.scheduled.firing import fire
from tests.beats import Beats, schedule_table
from tests.sites import Site
from worker.ledger.timetable import ScheduledRun
from worker.services import open_services
from worker.store.client import read_time_ms

pytestmark = pytest.mark.sandbox(latency="0", replication="0")


async def run_once(site: Site, beats: Beats, path: str) -> ScheduledRun:
    """Do one run of a schedule with this list."""
    args = f'{{ path = "{path}" }}'
    beats.write(schedule_table("nightly", "invite_file", every="9d", connection='"contoso"', args=args))
    settings = load_settings(site.env)
    async with open_services(lambda: settings, site.url) as services:
        run = await fire(services, "nightly", await read_time_ms(services.client), "beat")
    assert run is not None
    return run


async def test_guests_of_a_paused_job_are_told_of(site: Site, beats: Beats) -> None:
    """How many, and in which job; not of one that runs, nor of guests who are on no other list."""
    (site.folder / "people.csv").write_text("email\n" + "".join(f"p{n}@partner.example\n" for n in range(5)))
    (site.folder / "others.csv").write_text("email\nP4@Partner.example\nnew@partner.example\nnobody\n")
    done = site.run("invite", "people.csv", "-c", "contoso", "--yes", "--detach", "--json")
    job = json.loads(done.out.splitlines()[-1])["job"]
    running = await run_once(site, beats, "others.csv")
    assert "paused" not in running.what
    assert site.run("jobs", "pause", job).status in (0, 3)
    (site.folder / "others.csv").write_text("email\nnew@partner.example\n")
    assert (await run_once(site, beats, "others.csv")).status == "ok"
    run = await run_once(site, beats, "people.csv")
    assert (run.status, len(run.jobs)) == ("attention", 1)
    assert f"wait in a job that is paused (5 guests in job {job})" in run.what
    assert f"usher jobs cancel {run.jobs[0]}" in run.what


async def test_a_list_that_is_not_there_is_a_failed_run(site: Site, beats: Beats) -> None:
    """Which says that nothing was done, and who does what."""
    run = await run_once(site, beats, "nope.csv")
    assert (run.status, run.jobs) == ("failed", ())
    more = "Nothing was done; once somebody has put that right, the next run does it."
    assert run.what.endswith(f"nope.csv does not exist. {more}")
