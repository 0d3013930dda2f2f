"""The beat's rounds on a real Redis, its clock a value: whose turn it fires, at what
cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from config.reader import load_settings, parse_schedule
from config.settings import Settings
from tests.ledgers import Desk
from worker.ledger.rounds import Turn, offset_s
from worker.ledger.timetable import Timetable, plan, read_table
from worker.process.beat import BeatEntry
from worker.process.going_round import GoingRound

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NAME = "nightly"


@dataclass
class Rota:
    """A timetable with one schedule, the list of connections, and a beat that goes round."""

    folder: Path
    desk: Desk
    app: Celery
    at: datetime = NOON
    fired: list[Turn] = field(default_factory=list)
    kept: int = 0

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Let another beat, which knows nothing, go round."""
        self.going = GoingRound(self.app, lambda name, turn: self.fired.append(turn), self._keep)

    def _keep(self) -> None:
        self.kept += 1

    def write(self, tagged: Iterable[str], others: Iterable[str] = ()) -> None:
        """Write the list of connections anew."""
        lines = [f"{name},{name}.example,msp,eu" for name in tagged] + [
            f"{name},{name}.example,msp," for name in others
        ]
        (self.folder / "tenants.csv").write_text("\n".join(["name,tenant_id,app,tags", *lines]) + "\n")
        self.settings: Settings = load_settings({}, self.folder / "usher.toml")

    async def plan(self, **table: object) -> None:
        """Put the schedule on the timetable."""
        given = {"task": "check_connections", "connection": "tag:eu", "cron": "0 2 * * *", "spread": "2h", **table}
        schedule = parse_schedule(NAME, given, self.settings.connections)
        timetable = Timetable(self.desk.client, self.desk.keys)
        await timetable.put(plan(schedule, await timetable.get(NAME), "added", "UTC", self.at))

    def tick(self, **later: float) -> list[Turn]:
        """Let time pass, and the beat look; returns what it fired."""
        self.at += timedelta(**later)
        self.fired.clear()
        entry: Any = BeatEntry.from_key(self.desk.keys.schedule(NAME), app=self.app)
        schedule = read_table(NAME, entry.kwargs["table"])
        _, self.wait_s = self.going.fire_due(entry, schedule, self.settings, self.at)
        return list(self.fired)


@pytest.fixture
async def rota(valkey_url: str, desk: Desk, tmp_path: Path) -> Rota:
    """A nightly schedule over three connections of a tag, spread over two hours."""
    (tmp_path / "usher.toml").write_text(
        f'connections_file = "tenants.csv"\n[ledger]\nprefix = "{desk.keys.prefix}"\n'
        '[apps.msp]\nclient_id = "00000000-0000-4000-8000-000000000001"\nclient_secret = "env:NO_SECRET"\n'
    )
    app = Celery("beat", set_as_current=False)
    app.conf.update(redbeat_redis_url=valkey_url, redbeat_key_prefix=desk.keys.beat(), redbeat_redis_options={"x": 0})
    del app.conf["redbeat_redis_options"]["x"]
    rota = Rota(tmp_path, desk, app)
    rota.write(["adatum", "bellows", "cronus"], ["datum"])
    await rota.plan()
    return rota


def two_in_the_morning(day: int) -> datetime:
    """The schedule's time."""
    return NOON.replace(day=day, hour=2)


def turn(name: str, day: int) -> Turn:
    """A connection's turn of that night."""
    return Turn(two_in_the_morning(day) + timedelta(seconds=offset_s(NAME, name, 7200)), name)


async def test_each_tenant_has_its_minute_every_night(rota: Rota) -> None:
    """Fired when its turn comes, once, by whatever beat; the timetable knows the next one."""
    assert rota.tick() == []
    fired: list[Turn] = []
    while len(fired) < 6:
        found = rota.tick(seconds=rota.wait_s)
        assert [one.at for one in found] in ([rota.at], [])
        fired += found
        if len(fired) == 2:
            rota.begin()
    names = ["adatum", "bellows", "cronus"]
    expected = [turn(name, day) for day in (26, 27) for name in names]
    assert fired == sorted(expected, key=lambda one: one.at)
    [planned] = (await Timetable(rota.desk.client, rota.desk.keys).all()).values()
    assert (planned.fired, planned.next_at) == (6, min(turn(name, 28).at for name in names))


async def test_a_missed_run_fires_once_and_a_new_connection_is_not_made_up_for(rota: Rota) -> None:
    """A beat that was away for five nights: whom it knew runs once, who came or went meanwhile does
    not; from the next night on the new one does.
    """
    rota.tick()
    rota.write(["adatum", "bellows", "datum"])
    rota.begin()
    assert rota.tick(days=5) == sorted([turn("adatum", 26), turn("bellows", 26)], key=lambda one: one.at)
    assert {one.connection for one in rota.tick(days=1)} == {"adatum", "bellows", "datum"}


async def test_a_tag_put_on_in_the_middle_of_a_round_counts_from_then(rota: Rota) -> None:
    """Its turn of this night, if that is still to come; none where it has passed. One whose tag was
    taken off is not run any more, and is new when it gets it again.
    """
    rota.tick()
    order = sorted(["adatum", "bellows", "cronus", "datum", "eastern", "fabrikam"], key=lambda name: turn(name, 26).at)
    early, late = order[0], order[-1]
    rota.write([name for name in order if name not in (early, late)])
    rota.tick()
    half = turn(order[2], 26).at - rota.at + timedelta(seconds=1)
    assert [one.connection for one in rota.tick(seconds=half.total_seconds())] == order[1:3]
    rota.write([name for name in order if name != order[3]])
    assert rota.tick() == []
    assert [one.connection for one in rota.tick(hours=2)] == order[4:]
    rota.write(order)
    assert rota.tick() == []
    assert Counter(one.connection for one in rota.tick(days=1)) == dict.fromkeys(order, 1)


async def test_a_schedule_whose_time_changed_counts_from_then(rota: Rota) -> None:
    """A spread is part of the time; switched to other connections it goes on as it was."""
    rota.tick()
    rota.at += timedelta(days=3)
    await rota.plan(spread="3h")
    assert rota.tick() == []
    rota.at += timedelta(days=3)
    await rota.plan(spread="3h", connection="adatum,datum")
    assert [one.connection for one in rota.tick()] == ["adatum"]  # the other is new


async def test_a_beat_that_was_killed_between_firing_and_writing_names_the_same_runs(rota: Rota) -> None:
    """What it fired is fired again, by its name, which is done once."""
    rota.tick()
    before = await Timetable(rota.desk.client, rota.desk.keys).get(NAME)
    assert before is not None
    first = rota.tick(days=1)
    await Timetable(rota.desk.client, rota.desk.keys).put(before)
    rota.begin()
    assert rota.tick() == first
    assert len(first) == 3


async def test_without_connections_nothing_fires_and_nothing_stops(rota: Rota) -> None:
    """A tag that nobody has any more."""
    rota.write([], ["adatum"])
    assert rota.tick(days=1) == []
    assert rota.wait_s > 0
    rota.write(["adatum"])
    assert rota.tick() == []
    assert [one.connection for one in rota.tick(days=1)] == ["adatum"]


async def test_a_change_of_the_configuration_is_looked_at_at_once(rota: Rota) -> None:
    """A connection that came at noon counts from noon, not from when the next turn of others is."""
    rota.tick()
    timetable = Timetable(rota.desk.client, rota.desk.keys)
    before = (await timetable.all())[NAME].next_at
    await timetable.follow(rota.settings, rota.at)
    assert before == min(turn(name, 26).at for name in ("adatum", "bellows", "cronus"))
    assert (await timetable.all())[NAME].next_at == rota.at


async def test_ten_thousand_connections_cost_those_that_are_due(rota: Rota) -> None:
    """A tick in the middle of a round, or with nothing to do, asks Redis as little as one of three
    connections; a round of all at once keeps the beat's lock meanwhile.
    """
    client: Any = rota.desk.client
    rota.write(f"tenant-{number}" for number in range(10_000))
    await rota.plan()
    rota.tick()

    async def commands() -> int:
        return sum(stats["calls"] for stats in (await client.info("commandstats")).values())

    rota.tick(hours=14, minutes=30)
    before, fired = await commands(), 0
    for _ in range(100):
        fired += len(rota.tick(seconds=rota.wait_s))
    assert 100 <= fired < 400
    assert await commands() - before < 100 * 12
    rota.tick(hours=2)
    before = await commands()
    assert rota.tick(seconds=2) == []
    assert await commands() - before < 12
    await rota.plan(spread=None)
    rota.kept = 0
    assert len(rota.tick(days=1)) == 10_000
    assert rota.kept == 50
