"""`usher doctor` on a real installation: all well, then one thing after the other wrong."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from tests.beats import Beats
from tests.processes import wait_until
from tests.sites import Site, kill
from worker.ledger.gates import HoldReason
from worker.ledger.programs.running_programs import seen
from worker.store.client import read_time_ms

pytestmark = pytest.mark.sandbox(options=("--quota", "off", "--clock-skew", "20"), latency="0")
"""A sandbox whose clock is 20 s ahead."""


@pytest.fixture
def site(own_site: Site) -> Site:
    """A place to work in, on a server that keeps a file."""
    return own_site


def _doctor(site: Site) -> tuple[int, dict[str, list[tuple[bool, str]]]]:
    status, out, err = site.run("doctor", "--json")
    told = json.loads(out)
    assert told["ok"] == (status == 0), err
    facts: dict[str, list[tuple[bool, str]]] = {}
    for fact in told["findings"]:
        facts.setdefault(fact["about"], []).append((fact["ok"], fact["what"]))
    return status, facts


async def test_the_doctor_finds_what_is_wrong_and_who_differs(site: Site) -> None:
    """A worker with another file, a clock that is off, a secret that ended: each a line, the rest
    is well.
    """
    site.start_worker()
    beats = Beats(site)
    beats.start()

    async def there(count: int) -> bool:
        return len(await seen(site.desk.jobs)) == count

    await site.until("worker and beat seen", lambda: there(2))
    wait_until(lambda: "Acquired lock" in beats.logs[0].read_text(), 30, "a beat that fires")
    status, facts = await asyncio.to_thread(_doctor, site)
    assert status == 1
    assert {about for about, found in facts.items() if not all(ok for ok, _ in found)} == {"clock"}, facts
    assert any("behind Graph's" in what for _, what in facts["clock"])
    assert any(what.startswith("w1@") and "configuration" in what for _, what in facts["workers"])
    assert facts["beats"][0][1].startswith("beat-")
    assert any("Signing in works" in what for _, what in facts["contoso"])

    schedule = '[schedules.x]\ntask = "check_connections"\nevery = "1d"\n'
    (site.folder / "other.toml").write_text((site.folder / "usher.toml").read_text() + schedule)
    site.start_worker(config="other.toml")
    await site.until("the other worker seen", lambda: there(3))
    site.sandbox.ask("secret", {"action": "expire", "revoke_tokens": True})
    status, facts = await asyncio.to_thread(_doctor, site)
    site.sandbox.ask("secret", {"action": "restore"})
    [wrong] = [what for ok, what in facts["workers"] if not ok]
    assert wrong.startswith("w2@")
    assert "other.toml" in wrong
    assert not facts["contoso"][0][0]
    status, out, _ = await asyncio.to_thread(site.run, "doctor")
    assert (status, "need somebody" in out) == (1, True)


async def test_a_server_that_is_away_is_a_line_too(site: Site) -> None:
    """Status 1 and the sentence, no traceback."""
    text = (site.folder / "usher.toml").read_text()
    (site.folder / "usher.toml").write_text(text.replace("unix://", "unix:///nowhere"))
    status, facts = await asyncio.to_thread(_doctor, site)
    found: list[Any] = facts["redis"]
    assert (status, len(facts), found[0][0]) == (1, 1, False)
    assert "Redis cannot be reached" in found[0][1]


async def test_a_worker_that_is_gone_is_not_well(site: Site) -> None:
    """Stopped: at once. Killed: as soon as `usher invite` would say that there is none."""
    for number in (1, 2):
        worker = site.start_worker()
        await site.until("the worker described", partial(described, site, number))
        if number == 1:
            worker.terminate()
            await asyncio.to_thread(worker.wait, 30)
        else:
            kill(worker)
            client: Any = site.desk.client
            long_ago_ms = await read_time_ms(client) - 20_000  # as 20 s later, without the wait
            for name in await client.zrange(site.desk.keys.workers(), 0, -1):
                await client.zadd(site.desk.keys.workers(), {name: long_ago_ms})
        assert await site.desk.jobs.workers() == {}
        _, facts = await asyncio.to_thread(_doctor, site)
        assert facts["workers"] == [(False, "No worker is running, so nothing is sent: start usher worker.")]


async def test_a_beat_that_was_stopped_is_not_well(site: Site) -> None:
    """It says goodbye."""
    beats = Beats(site)
    beat = beats.start()
    await site.until("the beat described", lambda: described(site, 1))
    wait_until(lambda: "Acquired lock" in beats.logs[0].read_text(), 30, "a beat that fires")
    beat.terminate()
    await asyncio.to_thread(beat.wait, 30)
    _, facts = await asyncio.to_thread(_doctor, site)
    assert not any(what.startswith("beat-") for _, what in facts["beats"])


async def described(site: Site, number: int) -> bool:
    """Whether so many programs have ever said something of themselves."""
    client: Any = site.desk.client
    return bool(await client.hlen(site.desk.keys.programs()) >= number)


async def test_a_faulty_configuration_of_a_running_program_is_told(site: Site) -> None:
    """Once in its log, by the doctor, beside a job that waits; and once that it is mended, when all
    is well again.
    """
    theirs = site.folder / "theirs.toml"
    theirs.write_text(good := (site.folder / "usher.toml").read_text())
    site.start_worker(config="theirs.toml")
    beats = Beats(site)
    beats.start(USHER_CONFIG=str(theirs))
    await site.until("worker and beat described", lambda: described(site, 2))
    await site.desk.gates.hold("contoso", HoldReason.OPERATOR, "Held by a test.")
    job = await site.load(["a@fabrikam.example"])
    theirs.write_text(good + "[what\n")

    async def told() -> bool:
        programs = await seen(site.desk.jobs)
        return [bool(program.problem) for program in programs] == [True, True]

    await site.until("both faults told", told, 30)
    logs = (site.log_of(1), beats.logs[0])
    for log in logs:
        assert log.read_text().count("the configuration is faulty") == 1, log.read_text()
        assert "theirs.toml" in log.read_text()
    status, facts = await asyncio.to_thread(_doctor, site)
    assert status == 1
    for about in ("workers", "beats"):
        [(ok, what)] = facts[about]
        assert (ok, "goes on with its last good configuration" in what, "is not TOML" in what) == (False, True, True)
    shown = await asyncio.to_thread(site.run, "jobs", "show", job)
    assert shown.err.count("is not TOML") == 2

    theirs.write_text(good)

    async def mended() -> bool:
        return not any(program.problem for program in await seen(site.desk.jobs))

    await site.until("both mended", mended, 30)
    for log in logs:
        assert log.read_text().count("the configuration is mended") == 1
    shown = await asyncio.to_thread(site.run, "jobs", "show", job)
    assert "configuration" not in shown.err
