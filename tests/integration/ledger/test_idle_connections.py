"""Thousands of connections that have nothing to do cost the dispatcher nothing: Redis's own count
of commands says so.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.configs import load
from tests.ledgers import Desk, open_desk
from tests.servers import make_certificate, start_valkey, stop_valkey
from worker.ledger.quota import Bucket
from worker.sending.credential_ends import note_certificates

IDLE = 3_000
AT_ONCE = 700
"""Commands that one look for what was lost may take, whatever there is."""


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that nobody else asks, for what is asked is counted."""
    process, url = start_valkey(Path(tmp_path_factory.mktemp("v")))
    yield url
    stop_valkey(process)


@pytest.fixture
async def desk(own_server: str) -> AsyncIterator[Desk]:
    """A ledger on it; its bucket is full but once, for a full one costs a command more."""
    async with open_desk(own_server) as desk:
        desk.buckets = (Bucket("fills in days", 100_000, 10**9),)
        yield desk


async def add_idle(desk: Desk, count: int = IDLE) -> None:
    """Leave in the ledger what finished jobs leave there of so many connections."""
    client: Any = desk.client
    async with client.pipeline(transaction=False) as pipe:
        for n in range(count):
            pipe.sadd(desk.keys.connections(), f"idle{n}")
            pipe.hset(desk.keys.connection(f"idle{n}"), mapping={"clean": 5, "accepted": 100, "finished": 1})
        await pipe.execute()


async def commands(desk: Desk) -> int:
    """How many commands the server has done, those inside scripts counted."""
    return int((await desk.client.info("stats"))["total_commands_processed"])


async def heal(desk: Desk) -> int:
    """Let one dispatcher look for what was lost, as if it were time to; returns the commands."""
    await desk.client.delete(desk.keys.healed())
    before = await commands(desk)
    await desk.ledger.offers.heal()
    return await commands(desk) - before


async def do_a_chunk(desk: Desk) -> int:
    """Offer, claim, send and record a chunk, and tick once more; returns the commands."""
    await desk.load(20)
    before = await commands(desk)
    lease = await desk.lease()
    await desk.record(lease, await desk.begin(lease))
    await desk.ledger.release(lease)
    await desk.tick()
    return await commands(desk) - before


async def test_a_chunk_costs_the_same_beside_thousands_of_idle_connections(desk: Desk) -> None:
    """To the command."""
    await do_a_chunk(desk)  # scripts are loaded
    alone = await do_a_chunk(desk)
    await add_idle(desk)
    assert await do_a_chunk(desk) == alone


async def test_looking_for_what_was_lost_takes_a_few_connections_at_a_time(desk: Desk) -> None:
    """And comes to each in turn: work that nobody would look at is found among thousands."""
    await add_idle(desk)
    assert await heal(desk) < AT_ONCE
    await desk.load(1, "lost")
    await desk.client.delete(desk.keys.due())
    assert await desk.tick() == []
    for _ in range(2 * IDLE // 500):
        assert await heal(desk) < AT_ONCE
        if tickets := await desk.tick():
            break
    assert [ticket.connection for ticket in tickets] == ["lost"]


async def test_the_end_of_one_certificate_is_noted_for_thousands_in_a_few_round_trips(
    desk: Desk, tmp_path: Path
) -> None:
    """The dispatcher does it between two ticks: nothing is offered meanwhile."""
    both = make_certificate(tmp_path, "msp", days=30).both
    lines = [f"t{n},{uuid.UUID(int=4 << 76 | 8 << 60 | n)},msp" for n in range(IDLE)]
    (tmp_path / "tenants.csv").write_text("\n".join(["name,tenant_id,app", *lines]))
    app = f'connections_file = "tenants.csv"\n[apps.msp]\nclient_id = "App"\ncertificate = "file:{both}"\n'
    settings = load(tmp_path, app)
    services: Any = SimpleNamespace(settings=lambda: settings, client=desk.client, keys=desk.keys)
    before = int((await desk.client.info("stats"))["total_reads_processed"])
    await note_certificates(services)
    assert int((await desk.client.info("stats"))["total_reads_processed"]) - before < IDLE / 10
    assert int(await desk.field(desk.keys.connection(f"t{IDLE - 1}"), "credential_ends")) > 0
