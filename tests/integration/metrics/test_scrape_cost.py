"""A scrape asks Redis about what there is of a connection: little of one that is idle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings
from config.settings import Settings
from tests.integration.ledger.test_idle_connections import add_idle, commands
from tests.ledgers import Desk, open_desk
from tests.servers import start_valkey, stop_valkey
from worker.ledger.gates import HoldReason
from worker.ledger.guests.last_seen import GuestCounts, LastSeen
from worker.ledger.quota import invitation_buckets
from worker.metrics.snapshot import Observer

COUNT = 1_000


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[str]:
    """A server that nobody else asks, for what is asked is counted."""
    process, url = start_valkey(tmp_path)
    yield url
    stop_valkey(process)


@pytest.fixture
async def desk(own_server: str) -> AsyncIterator[Desk]:
    """A ledger on it."""
    async with open_desk(own_server) as desk:
        yield desk


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Connections of one application, twice as many as had jobs."""
    lines = "".join(f"idle{n},t{n}.example,msp\n" for n in range(2 * COUNT))
    (tmp_path / "tenants.csv").write_text(f"name,tenant_id,app\n{lines}")
    config = tmp_path / "usher.toml"
    config.write_text('connections_file = "tenants.csv"\n[apps.msp]\nclient_id = "x"\nclient_secret = "env:S"\n')
    return load_settings({}, config)


async def test_idle_connections_cost_a_scrape_little(desk: Desk, settings: Settings) -> None:
    """A command for each that had jobs, and one for dozens that had none; what is at work, held,
    blocked, in doubt or was looked at among them is shown as ever.
    """
    await add_idle(desk, COUNT)
    observer = Observer(desk.client, desk.keys, lambda: settings)
    await observer.look()  # the first takes the names of commands, and more
    before = await commands(desk)
    look = await observer.look()
    assert await commands(desk) - before < COUNT * 1.5
    assert len(look.connections) == 2 * COUNT
    idle, never = look.connections["idle7"], look.connections[f"idle{COUNT + 7}"]
    assert (idle.accepted, never.accepted, idle.is_open, never.held) == (100, 0, True, "")
    assert idle.levels == never.levels
    assert {kind: level.tokens for kind, level in idle.levels.items()}["invitations"] == 150

    client: Any = desk.client
    await desk.gates.hold("idle3", HoldReason.OPERATOR, "Stop.")
    await desk.gates.hold(f"idle{COUNT + 3}", HoldReason.OPERATOR, "Stop.")
    await desk.gates.block_tenant(settings.connection("idle4").tenant_key, "Blocked.")
    own = invitation_buckets(settings, settings.connection("idle5"))[0]
    await client.hset(desk.keys.bucket(own.scope), mapping={"l": 20, "t": 10**15})
    await client.zadd(desk.keys.doubts("idle6"), {"j:0:0": 1, "j:0:1": 2})
    await LastSeen(desk.client, desk.keys).note_guests("idle8", GuestCounts(10, 6, 3, 1, 2))
    await client.sadd(desk.keys.connections(), "idle3+groups", "gone")
    await client.hset(desk.keys.connection("gone"), "accepted", 3)
    before = await commands(desk)
    look = await observer.look()
    assert await commands(desk) - before < COUNT * 3
    told = {name: look.connections[name] for name in ("idle3", "idle3+groups", f"idle{COUNT + 3}", "idle4")}
    assert {name: one.held for name, one in told.items()} == {
        **dict.fromkeys(("idle3", "idle3+groups", f"idle{COUNT + 3}"), "operator"),
        "idle4": "abuse",
    }
    assert not any(one.is_open for one in told.values())
    assert look.connections["idle5"].levels["invitations"].tokens == 20
    assert (look.connections["idle6"].doubts, look.connections["gone"].accepted) == (2, 3)
    assert [*look.seen] == ["idle8"]
    assert sum(bool(one.held) for one in look.connections.values()) == 4
