"""The ledger's key is rolled over, added, or lost while a real worker works: rows wait at most, and
the memory of guests stays.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.ledgers import new_key_text
from tests.sites import Site
from worker.ledger.gates import HoldReason
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState
from worker.store.seal import Sealer

PEOPLE = [f"guest{n}@partner.example" for n in range(5)]
NOTICED_S = 10
"""A changed file counts within this."""


def _set_keys(site: Site, *names: str, config: str = "usher.toml") -> None:
    """Name these key files in a configuration file; each gets a key of its own at first."""
    for name in names:
        path = site.folder / name
        if not path.exists():
            path.write_text(new_key_text())
    path = site.folder / config
    source = path if path.exists() else site.folder / "usher.toml"
    lines = [line for line in source.read_text().splitlines() if not line.startswith("key =")]
    if names:
        lines.insert(
            lines.index("[ledger]") + 1, f"key = {json.dumps([f'file:{site.folder / name}' for name in names])}"
        )
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines) + "\n")
    new.replace(path)


def _is_sealed_by(site: Site, name: str, stored: bytes | None) -> bool:
    """Whether this key seals the index's key."""
    return stored is not None and stored[1:5] == Sealer([_text(site.folder / name)]).seal(b"", b"")[1:5]


def _text(path: Path) -> str:
    return path.read_text()


async def _until_sealed_by(site: Site, name: str) -> None:
    client: Any = site.desk.client

    async def look() -> bool:
        return _is_sealed_by(site, name, await client.get(site.desk.keys.index_key()))

    await site.until(f"the index's key sealed by {name}", look, NOTICED_S)


async def _invite_all(site: Site, job: str) -> JobView:
    return await site.ended(await site.load(PEOPLE, job=job))


async def _held(site: Site) -> str:
    """Wait until everything is held because of the key, as if no worker had opened it for a while;
    return the sentence.
    """
    client: Any = site.desk.client

    async def look() -> str:
        await client.delete(site.desk.keys.index_opened())
        gate = await site.desk.gates.of("contoso")
        return gate.why if gate.held and gate.kind is HoldReason.KEY else ""

    why: str = await site.until("a hold because of the ledger's key", look)
    return why


def _doctor(site: Site) -> tuple[int, bool, str]:
    """Return the doctor's status, whether it finds the key well, and what it says of it."""
    status, out, _ = site.run("doctor", "--json")
    [finding] = [found for found in json.loads(out)["findings"] if found["about"] == "ledger key"]
    return status, finding["ok"], finding["what"]


async def test_a_key_rolls_over_under_a_running_worker(site: Site) -> None:
    """A new key in front seals anew within 10 s, so that the old one may go; the guests of before
    are known, nobody is mailed twice.
    """
    _set_keys(site, "old.key")
    site.start_worker()
    assert (await _invite_all(site, "one")).counts == Counts(rows=5, done=5)
    _set_keys(site, "new.key", "old.key")
    await _until_sealed_by(site, "new.key")
    assert (await _invite_all(site, "two")).counts == Counts(rows=5, skipped=5)
    _set_keys(site, "new.key")
    assert (await _invite_all(site, "three")).counts == Counts(rows=5, skipped=5)
    site.assert_all_mailed_once(5)
    assert "Traceback" not in site.log_of(1).read_text()


async def test_a_key_is_added_to_a_ledger_that_had_none(site: Site) -> None:
    """The index's key, which lay there open, is sealed; the memory of guests stays."""
    site.start_worker()
    assert (await _invite_all(site, "one")).counts == Counts(rows=5, done=5)
    _set_keys(site, "first.key")
    await _until_sealed_by(site, "first.key")
    assert (await _invite_all(site, "two")).counts == Counts(rows=5, skipped=5)
    site.assert_all_mailed_once(5)


async def test_a_lost_key_holds_everything_until_it_is_back(site: Site) -> None:
    """A sentence instead of a traceback, a finding of the doctor, rows that wait; once the key is
    back they go by themselves.
    """
    _set_keys(site, "old.key")
    site.start_worker()
    assert (await _invite_all(site, "one")).counts == Counts(rows=5, done=5)
    lost = _text(site.folder / "old.key")
    (site.folder / "old.key").write_text(new_key_text())  # the file itself: it is followed like every other
    assert "[ledger].key" in await _held(site)
    job = await site.load([*PEOPLE, "new@partner.example"], job="two")
    view = await site.view(job)
    assert (view.state, view.counts) == (JobState.HELD, Counts(rows=6, pending=6))
    status, is_well, what = await asyncio.to_thread(_doctor, site)
    assert (status, is_well) == (1, False)
    assert "[ledger].key" in what
    (site.folder / "old.key").write_text(lost)
    assert (await site.ended(job)).counts == Counts(rows=6, done=1, skipped=5)
    site.assert_all_mailed_once(6)
    assert "Traceback" not in site.log_of(1).read_text()
    assert (await asyncio.to_thread(_doctor, site))[1]


async def test_no_key_at_all_where_there_was_one_is_a_hold_too(site: Site) -> None:
    """A worker that was started without the key sends nothing: it could not tell who was
    invited.
    """
    _set_keys(site, "old.key")
    index = GuestIndex(site.desk.client, site.desk.keys, lambda: Sealer([_text(site.folder / "old.key")]))
    await index.place("t", {0: PEOPLE[0]})
    _set_keys(site)
    site.start_worker()
    job = await site.load(PEOPLE, job="one")
    assert "[ledger].key" in await _held(site)
    _set_keys(site, "old.key")
    assert (await site.ended(job)).counts == Counts(rows=5, done=5)


async def test_a_worker_with_another_key_leaves_the_work_to_those_that_open(site: Site) -> None:
    """It says so once; the others go on, and nothing is held for its sake."""
    _set_keys(site, "old.key")
    site.start_worker()
    assert (await _invite_all(site, "one")).counts == Counts(rows=5, done=5)
    _set_keys(site, "wrong.key", config="other.toml")
    site.start_worker(config="other.toml")
    for number in range(4):
        job = await site.load([f"more{number}@partner.example"], job=f"more{number}")
        assert (await site.ended(job)).counts == Counts(rows=1, done=1)
    client: Any = site.desk.client
    assert not await client.exists(site.desk.keys.hold_all())
    assert "Traceback" not in site.log_of(2).read_text()
