"""A Redis that is nearly full takes in no job, lets no more be sent, and loses nothing of what it
has.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from config.connections import Connection
from config.reader import parse_connection
from tasks.rows.row import ValidRow, validate_record
from tasks.submit import drop, load, start
from tests.ledgers import Desk, open_desk
from tests.processes import wait_until
from tests.servers import start_valkey, stop_valkey
from tests.ushers import run_usher
from worker.errors import LedgerFull
from worker.store.client import Memory

MB = 1 << 20


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, for sockets."""
    made = Path(tempfile.mkdtemp(prefix="umem-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def desk(folder: Path) -> AsyncIterator[Desk]:
    """A ledger on a server of its own, whose limit a test sets."""
    server, url = start_valkey(folder)
    try:
        async with open_desk(url) as desk:
            yield desk
    finally:
        stop_valkey(server)


@pytest.fixture
def connection() -> Connection:
    """Any."""
    return parse_connection("contoso", {"tenant_id": "contoso.example", "client_id": "c", "client_secret": "env:X"})


def rows(count: int) -> Iterator[ValidRow]:
    """So many good rows."""
    for n in range(count):
        row = validate_record({"email": f"g{n}@example.com", "display_name": f"Guest {n * 7919 % 104729}"}, n + 1)
        assert isinstance(row, ValidRow)
        yield row


async def limit(desk: Desk, share: float) -> None:
    """Set the limit so that so much of it is taken."""
    info = await desk.ledger.client.info("memory")
    await desk.ledger.client.config_set("maxmemory", int(info["used_memory"] / share))


async def test_a_list_without_room_is_refused_with_its_size(desk: Desk, connection: Connection) -> None:
    """One sentence, and nothing of the half-loaded job is left; with room it is taken in."""
    await desk.ledger.client.setrange("filler", 10 * MB, b"x")
    await limit(desk, 0.85)
    before = await desk.names()
    with pytest.raises(
        LedgerFull, match=r"its 40,000 rows need about \d+ MB, and 1\d MB of 1\d MB are taken"
    ) as caught:
        await load(desk.jobs, connection, rows(40_000), job="large")
    assert "nothing was sent" in str(caught.value)
    assert await desk.names() - before <= {"schema", "erased"}  # that something was: the server's file is rewritten
    small = await load(desk.jobs, connection, rows(100), job="small")
    assert small is not None
    await start(desk.jobs, small)


async def test_room_is_kept_for_what_follows_the_invitation(desk: Desk, connection: Connection) -> None:
    """The items of stages are made while the job runs, when it is too late to refuse its list."""
    names = [f"Group {n}" for n in range(20)]

    def each(groups: list[str]) -> Iterator[ValidRow]:
        return (ValidRow(row.number, row.line, {**row.row, "groups": groups}) for row in rows(1000))

    await desk.ledger.client.setrange("filler", 30 * MB, b"x")
    await limit(desk, 0.85)
    assert await load(desk.jobs, connection, each(names[:1]), job="one") is not None
    with pytest.raises(LedgerFull, match=r"its 1,000 rows need about [5-7] MB"):
        await load(desk.jobs, connection, each(names), job="twenty")


@pytest.mark.parametrize("share", [0.91, 1.5])
async def test_above_the_mark_even_one_row_is_refused(desk: Desk, connection: Connection, share: float) -> None:
    """Also where Redis itself takes no more writes; deleting works then too."""
    old = await load(desk.jobs, connection, rows(100), job="old")
    assert old is not None
    await limit(desk, share)
    with pytest.raises(LedgerFull, match="its 1 row needs"):
        await load(desk.jobs, connection, rows(1), job="one")
    assert await desk.jobs.view("one") is None
    assert await drop(desk.jobs, old)  # which does not run yet
    assert not {name for name in await desk.names() if name.startswith(("chunk:", "job:"))}


async def test_a_mark_that_cannot_be_written_lets_nothing_leave(desk: Desk) -> None:
    """`begin_batch` raises, the rows are as they were, and later they go."""
    await desk.load(5)
    lease = await desk.lease()
    await desk.ledger.client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        await desk.begin(lease)
    assert await desk.letters("j1") == "....."
    await desk.ledger.client.config_set("maxmemory", 0)
    assert len((await desk.begin(lease)).rows) == 5


def test_no_limit_is_never_full() -> None:
    """`maxmemory` 0 means none."""
    assert not Memory(10**12, 0).is_beyond(0.9)
    assert Memory(91, 100).is_beyond(0.9)
    assert not Memory(80, 100).is_beyond(0.9, more=10)


def test_sending_stops_and_goes_on_by_itself(folder: Path) -> None:
    """Said once in the log; no row is sent meanwhile, none is lost; new jobs are refused in one
    sentence.
    """
    with run_usher(folder, sandbox_options=("--quota", "off", "--replication", "0")) as usher:
        assert usher.run("connections", "hold", "contoso", "--reason", "Wait").status == 0
        told = usher.ask("usher.invite_guests", "contoso", [{"email": f"g{n}@fabrikam.example"} for n in range(300)])
        with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as made:
            database: Any = made
            database.setrange("filler", 60 * MB, b"x")
            database.config_set("maxmemory", int(database.info("memory")["used_memory"] / 0.965))
            wait_until(lambda: "Redis is nearly full" in usher.log(), 15, "a word in the log")
            assert usher.run("connections", "reopen", "contoso").status == 0
            refused = usher.run("invite", "late@fabrikam.example", "-c", "contoso")
            assert refused.status == 2
            assert "Redis has no room for this list: its 1 row" in refused.err
            refusal = usher.ask("usher.invite_guest", "contoso", "late@fabrikam.example")
            assert (refusal["status"], "has no room" in refusal["errors"][0]) == ("refused", True)
            time.sleep(6)
            assert usher.sandbox.ask("guests?address=g0@fabrikam.example") == []
            assert usher.ask("usher.job", told["job"])["pending"] == 300
            assert usher.log().count("Redis is nearly full") == 1
            database.config_set("maxmemory", 0)
        assert usher.finished(told["job"], 30)["invited"] == 300
        assert "Redis has room again" in usher.log()
        usher.client.close()
