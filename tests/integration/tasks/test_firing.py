"""One firing of one schedule: a claim that is another's is neither renewed nor freed; a message
that is no firing changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings, parse_schedule
from tasks.scheduled import firing
from tasks.scheduled.context import Context, Told
from tests.ledgers import Desk
from worker.ledger.timetable import ScheduledRun, Timetable, plan, run_of
from worker.services import Services, open_services
from worker.store.client import read_time_ms

NAME = "nightly"


@pytest.fixture
async def services(valkey_url: str, desk: Desk, tmp_path: Path) -> AsyncIterator[Services]:
    """What a worker opens, on a ledger of its own, with one schedule."""
    config = tmp_path / "usher.toml"
    config.write_text(
        f'[redis]\nurl = "{valkey_url}"\n[ledger]\nprefix = "{desk.keys.prefix}"\n'
        f'[schedules.{NAME}]\ntask = "check_connections"\nevery = "9d"\n'
    )
    settings = load_settings({}, config)
    async with open_services(lambda: settings, valkey_url) as services:
        yield services


@pytest.mark.parametrize("connection", ["", "adatum"])
async def test_a_worker_that_was_frozen_leaves_the_run_to_who_took_it_over(
    services: Services, monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    """Its claim ran out meanwhile: it neither takes the other's over nor frees it, and its own work
    ends.
    """
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(_: Context) -> Told:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Told("never")

    monkeypatch.setitem(firing.KINDS, "check_connections", work)
    monkeypatch.setattr(firing, "_RENEW_S", 0.05)
    client: Any = services.client
    due_ms = await read_time_ms(client)
    key = services.keys.schedule_claim(run_of(NAME, connection), due_ms)
    frozen = asyncio.create_task(firing.fire(services, NAME, due_ms, "beat", connection))
    await began.wait()
    await client.set(key, "another worker's", px=60_000)
    done, _ = await asyncio.wait({frozen}, timeout=40)
    held = await client.get(key)
    if not done:
        frozen.cancel()
        await asyncio.wait({frozen})
    assert held == b"another worker's"
    assert done, "it works on"
    assert frozen.result() is None
    assert ended.is_set()
    assert await client.get(key) == b"another worker's"


async def test_a_run_frees_its_claim(services: Services) -> None:
    """So that whoever waits for it sees the result at once."""
    due_ms = await read_time_ms(services.client)
    run = await firing.fire(services, NAME, due_ms, "beat")
    assert run is not None
    assert run.status == "attention"
    assert not await services.client.exists(services.keys.schedule_claim(NAME, due_ms))


async def test_what_lies_among_the_runs_and_is_none_hides_no_other(services: Services) -> None:
    """Left by an usher that took any message: the runs are read, the next one is written, and what
    is none is removed.
    """
    timetable = Timetable(services.client, services.keys)
    client: Any = services.client
    key = services.keys.schedule_runs(NAME)
    await timetable.record(NAME, ScheduledRun(1_000, "beat", 1_000, 2_000, "ok", "It went well."))
    junk: Any = {"x": '{"due_ms": "x", "by": "z", "started_ms": 1}', "5": "no JSON", "6": '{"jobs": 5, "details": []}'}
    wrong = '{"due_ms": "x", "by": [], "started_ms": 1, "jobs": [], "details": []}'
    await client.hset(key, mapping={**junk, "7": wrong})
    assert [run.due_ms for run in await timetable.runs(NAME)] == [1_000]
    assert await timetable.run(NAME, 7) is None
    await timetable.record(NAME, ScheduledRun(3_000, "beat", 3_000, 4_000, "ok"))
    assert [run.due_ms for run in await timetable.runs(NAME)] == [3_000, 1_000]
    assert not await client.hexists(key, "x")


@pytest.mark.parametrize(
    "definition", [b"no JSON", b"[]", b"5", b'{"kwargs": {"table": 5}}', b'{"name": "y", "kwargs": {"table": {}}}']
)
async def test_an_entry_that_is_none_hides_no_other(services: Services, definition: bytes) -> None:
    """Whatever wrote it: the other schedules are listed."""
    timetable = Timetable(services.client, services.keys)
    client: Any = services.client
    await client.hset(services.keys.schedule("y"), mapping={b"definition": definition})
    await client.zadd(services.keys.timetable(), {services.keys.schedule("y"): 1})
    assert await timetable.all() == {}


async def test_a_run_is_of_a_connection_that_the_schedule_has_now(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not configured, or has lost the tag, is refused; so is one of a schedule that is
    of no several.
    """
    monkeypatch.setattr(firing, "_KNOWN_WITHIN_S", 1.0)
    monkeypatch.setattr(firing, "_LOOK_S", 0.01)
    schedule = parse_schedule("many", {"task": "check_connections", "every": "9d", "connection": "tag:eu,sandbox"}, [])
    await Timetable(services.client, services.keys).put(plan(schedule, None, "added", "UTC", datetime.now(UTC)))
    assert await firing.connection_fault(services, "many", "sandbox") == ""
    assert (
        await firing.connection_fault(services, "many", "datum")
        == "datum is none of the connections of many (any more)"
    )
    assert await firing.connection_fault(services, "many", "") == "it must name one of the connections of many"
    assert await firing.connection_fault(services, NAME, "datum") == f"{NAME} is no schedule over several connections"
    assert await firing.connection_fault(services, NAME, "") == ""


async def test_each_connection_has_runs_and_jobs_of_its_own(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is at work while another is done; fired again a run is the same; of many a week of nights
    is kept, and which is the last.
    """
    schedule = parse_schedule("many", {"task": "check_connections", "every": "9d", "connection": "all"}, [])
    timetable = Timetable(services.client, services.keys)
    await timetable.put(plan(schedule, None, "added", "UTC", datetime.now(UTC)))
    began, released, jobs = asyncio.Event(), asyncio.Event(), []

    async def work(context: Context) -> Told:
        jobs.append(context.job)
        if context.schedule.connection == "adatum":
            began.set()
            await released.wait()
        return Told(f"{context.schedule.connection} done")

    monkeypatch.setitem(firing.KINDS, "check_connections", work)
    now_ms = await read_time_ms(services.client)
    slow = asyncio.create_task(firing.fire(services, "many", now_ms, "beat", "adatum"))
    await began.wait()
    other = await firing.fire(services, "many", now_ms, "beat", "bellows")
    assert other is not None
    assert (other.what, (await timetable.latest("many"))["adatum"].status) == ("bellows done", "running")
    again = asyncio.create_task(firing.fire(services, "many", now_ms, "beat", "adatum"))
    released.set()
    assert await again == await slow
    assert len(set(jobs)) == len(jobs) == 2
    for night in range(1, 10):
        await firing.fire(services, "many", now_ms - night * 86_400_000, "beat", "bellows")
    runs = await timetable.runs("many", 50, ["bellows", "adatum"])
    assert [run.connection for run in runs] == ["adatum", *["bellows"] * 7]
    assert (await timetable.latest("many"))["bellows"].due_ms == now_ms
    await timetable.remove("many")
    client: Any = services.client
    assert [key async for key in client.scan_iter(match=f"{services.keys.prefix}:schedule:*")] == []
