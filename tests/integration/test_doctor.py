"""`usher doctor` on a real installation: all well, then one thing after the other wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.beats import Beats
from tests.processes import wait_until
from tests.sandboxes import Sandbox, run_sandbox
from tests.sites import OwnValkey, Site, open_site
from worker.programs import seen


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox whose clock is 20 s ahead."""
    with run_sandbox(folder, "--quota", "off", "--clock-skew", "20") as sandbox:
        yield sandbox


@pytest.fixture
async def site(own_valkey: OwnValkey, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A place to work in, on a server that keeps a file."""
    async with open_site(own_valkey.url, sandbox, latency="0") as site:
        yield site


def _doctor(site: Site) -> tuple[int, dict[str, list[tuple[bool, str]]]]:
    status, out, err = site.run("doctor", "--json")
    told = json.loads(out)
    assert told["ok"] == (status == 0), err
    facts: dict[str, list[tuple[bool, str]]] = {}
    for fact in told["findings"]:
        facts.setdefault(fact["about"], []).append((fact["ok"], fact["what"]))
    return status, facts


async def test_the_doctor_finds_what_is_wrong_and_who_differs(site: Site) -> None:
    """A worker with another file, a clock that is off, a secret that ended: each a line, the rest is well."""
    site.start_worker()
    beats = Beats(site)
    beats.start()

    async def there(count: int) -> bool:
        return len(await seen(site.desk.client, site.desk.keys)) == count

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
