"""Schedules over several tenants of one application, under a real beat and a real worker: a run of
its own for each.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.beats import Beats, schedule_table
from tests.integration.tenants.test_several import write_tenants
from tests.sites import Site
from worker.ledger.rounds import offset_s
from worker.queues import SCHEDULES
from worker.store.client import read_time_ms

OPTIONS = ("--quota", "off", "--replication", "0", "--tenants", "6", "--shared-app")
pytestmark = pytest.mark.sandbox(options=OPTIONS, latency="0", replication="0")
EU = ["adatum", "bellows"]


@pytest.fixture
def beats(site: Site) -> Beats:
    """A site with six tenants, two of them tagged eu, four us; and one that there is not."""
    app = write_tenants(site.folder / "tenants.csv", site.sandbox.ready)
    path = site.folder / "usher.toml"
    path.write_text('connections_file = "tenants.csv"\n' + path.read_text() + app)
    return Beats(site)


def tag(site: Site, **tags: str) -> None:
    """Give connections other tags in the list."""
    listed = site.folder / "tenants.csv"
    lines = [line.split(";") for line in listed.read_text().splitlines()]
    listed.write_text("\n".join(";".join([*one[:3], tags.get(one[0], one[3]), *one[4:]]) for one in lines) + "\n")


async def until_ran(site: Site, beats: Beats, name: str, *connections: str) -> int:
    """Wait until each connection has a run that is due from now on and has ended; returns the time
    of now.
    """
    now_ms = await read_time_ms(site.desk.client)

    async def look() -> bool:
        latest = await beats.timetable.latest(name)
        found = [latest.get(one) for one in connections]
        return all(one is not None and one.due_ms > now_ms and one.status != "running" for one in found)

    await site.until(f"runs of {name} for {connections}", look)
    return now_ms


async def test_each_connection_of_a_tag_has_runs_and_the_list_may_change_under_them(site: Site, beats: Beats) -> None:
    """One tenant's failure is its own; who gets the tag is run from then, who loses it no more."""
    site.start_worker()
    tag(site, nowhere="eu")
    beats.write(
        schedule_table("check", "check_connections", connection='"tag:eu"'),
        schedule_table("spread", "check_connections", "3s", connection='"tag:eu,tag:us"', spread='"2s"'),
    )
    beats.start()
    ends = {"adatum": "ok", "bellows": "ok", "nowhere": "attention"}

    async def have_ended() -> bool:
        return {name: run.status for name, run in (await beats.timetable.latest("check")).items()} == ends

    await site.until("runs of all three that have ended", have_ended)  # the next ones begin within a second
    [run] = await beats.timetable.runs("check", 1, ["nowhere"])
    assert run.connection == "nowhere"
    tag(site, nowhere="", bellows="", cronus="eu")
    await until_ran(site, beats, "check", "cronus")
    begun_ms = await until_ran(site, beats, "check", "adatum", "cronus")
    latest = await beats.timetable.latest("check")
    assert all(latest[name].due_ms < begun_ms for name in ("bellows", "nowhere"))
    dues = Counter(run.due_ms for run in await beats.timetable.runs("check", 50, ["cronus"]))
    assert dues.most_common(1)[0][1] == 1
    [planned] = [one for name, one in (await beats.timetable.all()).items() if name == "spread"]
    assert planned.since is not None
    runs = await beats.timetable.runs("spread", 50, [*EU, "cronus", "datum", "fabrikam"])
    times = {run.due_ms - offset_s("spread", run.connection, 2) * 1000 for run in runs}
    assert {(ms - round(planned.since.timestamp() * 1000)) % 3000 for ms in times} == {0}
    assert len({run.due_ms for run in runs}) > len(times)  # some a second after others


async def test_a_round_by_hand_is_told_as_a_whole_and_tenant_by_tenant(site: Site, beats: Beats) -> None:
    """`schedules run`, `list` and `show`; a list whose rows name their tenants goes where they say,
    each row once, and the same firing again does nothing.
    """
    rows = ["ada@example.com,adatum", "bo@example.com,bellows", "all@example.com,all", "us@example.com,datum"]
    (site.folder / "people.csv").write_text("\n".join(["email,connection", *rows]) + "\n")
    site.start_worker()
    add = ("schedules", "add", "list", "--task", "invite_file", "--cron", "0 2 * * *", "--arg", "path=people.csv")
    assert "names no connection that is configured (did you mean adatum?)" in site.run(*add, "-c", "adatun,bellows").err
    assert "No connection has the tag ue" in site.run(*add, "-c", "tag:ue").err
    assert (
        "spread must be shorter than the time between two runs, which may be 1d"
        in site.run(*add, "-c", "tag:eu", "--spread", "24h").err
    )
    assert "Its next round begins at" in site.run(*add, "-c", "tag:eu,datum", "--spread", "2h").out
    status, out, err = site.run("schedules", "run", "list", "--json")
    told = json.loads(out)
    assert (status, told["status"]) == (0, "ok"), err
    assert told["connections"] == {"all": 3, "ok": 3, "attention": 0, "failed": 0, "running": 0, "never": 0}
    jobs = {run["connection"]: run["jobs"][0] for run in told["runs"]}
    assert len(set(jobs.values())) == 3
    for name, mine in (("adatum", "ada"), ("bellows", "bo"), ("datum", "us")):
        assert (await site.ended(jobs[name])).connection == name
        emails = {record["email"] for record in await site.results(jobs[name])}
        assert emails == {f"{mine}@example.com", "all@example.com"}
    due_ms = int((await beats.timetable.latest("list"))["adatum"].due_ms)
    await fire_again(site, beats, [{"name": "list", "due_ms": due_ms, "connection": name} for name in jobs])
    assert len(await site.desk.jobs.listed()) == 3
    out = site.run("schedules", "list").out
    assert "list  invite_file on tag:eu,datum, 0 2 * * *, spread over 2h, added at run time\n" in out
    assert " · 3 connections: 3 ok\n" in out
    out = site.run("schedules", "show", "list").out
    assert [line.split()[3:5] for line in out.splitlines() if line.startswith("20")] == [
        [name, "ok,"] for name in sorted(jobs)
    ]


async def fire_again(site: Site, beats: Beats, firings: list[dict[str, Any]]) -> None:
    """Send firings to the worker, twice each, and wait until all are done."""
    from celery import Celery

    url = site.url.removeprefix("unix://")
    client = Celery("elsewhere", broker=f"redis+socket://{url}?virtual_host=0", set_as_current=False)
    client.conf.broker_transport_options = {"global_keyprefix": f"{site.desk.keys.prefix}:mq:"}
    for firing in firings * 2:
        client.send_task("usher.scheduled", kwargs=firing, queue=SCHEDULES)
    client.close()
    mq: Any = site.desk.client

    async def all_done() -> bool:
        return not await mq.exists(*(f"{site.desk.keys.prefix}:mq:{name}" for name in (SCHEDULES, "unacked")))

    await site.until("all messages done", all_done)


async def test_a_firing_that_no_round_can_have_made_is_refused(site: Site, beats: Beats) -> None:
    """Without a connection, with what is none, of a schedule of one, before its time; nothing is
    written.
    """
    beats.write(
        schedule_table("check", "check_connections", every="9d", connection='"tag:eu"'),
        schedule_table("single", "check_connections", every="9d", connection='"adatum"'),
    )
    site.start_worker()
    now_ms = await read_time_ms(site.desk.client)
    wrong: list[dict[str, Any]] = [
        {"name": "check", "due_ms": now_ms},
        {"name": "check", "due_ms": now_ms, "connection": ["adatum"]},
        {"name": "check", "due_ms": now_ms, "connection": "x:runs"},
        {"name": "check", "due_ms": now_ms + 3_600_000, "connection": "adatum"},
        {"name": "single", "due_ms": now_ms, "connection": "adatum"},
    ]
    await fire_again(site, beats, wrong)
    assert site.log_of(1).read_text().count("is refused") == 2 * len(wrong)
    client: Any = site.desk.client
    assert [key async for key in client.scan_iter(match=f"{site.desk.keys.prefix}:schedule:*")] == []
